"""The numbers of the dashboard. Test events are in none of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from capi.models import Connection, ConversionEvent
from capi.reads.log import STATES, Chip
from capi.reads.moments import days_ago, first_id_since, start_of
from capi.reasons import State
from crm.charts import BarChart, Series, bar_chart
from crm.models import Company, Deal, Lead, LeadMeaning

DAYS: Final = 14
WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Leads:
    """Open leads are those that are not unqualified."""

    open: int
    new_this_week: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The worth of open deals: in the company's currency, and what is in others."""

    own: Decimal
    currency: str
    others: Sequence[tuple[Decimal, str]]
    deals: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the events of the last DAYS days."""

    sent: int
    failed: int
    chart: BarChart

    @property
    def accepted_percent(self) -> float | None:
        """The share of what LinkedIn accepted among what has its end, None where nothing has."""
        ended = self.sent + self.failed
        return 100 * self.sent / ended if ended else None


@dataclass(frozen=True, slots=True)
class Open:
    """Events that have not reached their end."""

    on_hold: int
    waiting: int
    queued: int


def leads_of(company: Company) -> Leads:
    week_ago = timezone.now() - WEEK
    leads = Lead.objects.for_company(company).not_erased()
    counts = leads.aggregate(
        open=Count("pk", filter=~Q(status__meaning=LeadMeaning.UNQUALIFIED)),
        new=Count("pk", filter=Q(created_at__gte=week_ago)),
    )
    return Leads(counts["open"], counts["new"])


def pipeline_of(company: Company) -> Pipeline:
    rows = Deal.objects.for_company(company).open().order_by().values("currency")
    sums = {
        row["currency"]: (row["total"] or Decimal(0), row["deals"])
        for row in rows.annotate(total=Sum("amount"), deals=Count("pk"))
    }
    own, _ = sums.get(company.currency, (Decimal(0), 0))
    others = sorted((total, code) for code, (total, _) in sums.items() if code != company.currency and total)
    return Pipeline(own, company.currency, others[::-1], sum(deals for _, deals in sums.values()))


def outcomes_of(company: Company) -> Outcomes:
    days = [days_ago(ago) for ago in range(DAYS - 1, -1, -1)]
    counts = _counts_by_day(company.pk, days[0])
    groups = {
        ("sent", "good"): [State.ACCEPTED],
        ("on the way", "wait"): [State.PENDING, State.WAITING],
        ("failed", "bad"): STATES[Chip.FAILED],
        ("not sent", "plain"): STATES[Chip.NOT_SENT],
    }
    series = [
        Series(label, tone, [sum(counts[day, state] for state in states) for day in days])
        for (label, tone), states in groups.items()
    ]
    return Outcomes(series[0].total, series[2].total, bar_chart(days, series))


def open_events(company: Company, connection: Connection | None) -> Open:
    is_held = connection is None or not connection.is_sending
    events = ConversionEvent.objects.for_company(company.pk).counted().order_by()
    rows = events.filter(state__in=[State.PENDING, State.WAITING]).values_list("state", "rule__is_paused")
    counts: Counter[str] = Counter()
    for state, is_paused, count in rows.annotate(count=Count("pk")):
        name = "waiting" if state == State.WAITING else "on_hold" if is_held or is_paused else "queued"
        counts[name] += count
    return Open(counts["on_hold"], counts["waiting"], counts["queued"])


def _counts_by_day(company_id: int, first_day: date) -> Counter[tuple[date, str]]:
    since = first_id_since(company_id, start_of(first_day))
    events = ConversionEvent.objects.for_company(company_id).counted().filter(pk__gte=since).order_by()
    rows = events.values_list(TruncDate("created_at"), "state").annotate(count=Count("pk"))
    return Counter({(day, state): count for day, state, count in rows})
