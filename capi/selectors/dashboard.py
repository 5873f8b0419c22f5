"""The numbers on the dashboard. Test events are left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Sum
from django.utils import timezone

from capi.models import Connection, ConversionEvent
from capi.models.choices import OPEN_STATES
from capi.models.connection import is_sending
from capi.selectors.state_groups import StateFilter, filter_of
from crm.models import Company, Deal, Lead, LeadMeaning, LeadStatus, Stage, StageMeaning
from crm.selectors.counts import CountOf

WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class LeadNumbers:
    """Open leads are all except unqualified ones."""

    open: int
    new_this_week: int


@dataclass(frozen=True, slots=True)
class DealNumbers:
    """The value of open deals, in the company's currency and in others."""

    own: Decimal
    currency: str
    others: Sequence[tuple[Decimal, str]]
    deals: int


@dataclass(frozen=True, slots=True)
class OpenEvents:
    """Events that are pending or waiting."""

    on_hold: int
    waiting: int
    queued: int


def lead_numbers(company: Company) -> LeadNumbers:
    """Counted in indexes: the only rows read are those of the week's new leads.

    A status belongs to one company, so leads are counted by status. Few are no longer current: these are subtracted.
    """
    statuses = (
        LeadStatus.objects.for_company(company)
        .exclude(meaning=LeadMeaning.UNQUALIFIED)
        .order_by()
    )
    in_status = Lead.objects.order_by().filter(
        status__in=list(statuses.values_list("pk", flat=True))
    )
    week_ago = timezone.now() - WEEK
    counts = {
        "ever": in_status,
        "erased": in_status.filter(company=company, erased_at__isnull=False),
        "merged": in_status.filter(
            company=company, erased_at=None, merged_into__isnull=False
        ),
        "new": Lead.objects.for_company(company)
        .current()
        .filter(created_at__gte=week_ago)
        .order_by(),
    }
    columns = {name: CountOf(leads.values("pk")) for name, leads in counts.items()}
    row: dict[str, Any] = dict(
        Company.objects.filter(pk=company.pk).values(**columns).get()
    )
    return LeadNumbers(row["ever"] - row["erased"] - row["merged"], row["new"])


def deal_numbers(company: Company) -> DealNumbers:
    # The stages are read first: a join would read those of all companies.
    stages = (
        Stage.objects.for_company(company).filter(meaning=StageMeaning.OPEN).order_by()
    )
    is_open = Deal.objects.for_company(company).filter(
        stage__in=list(stages.values_list("pk", flat=True))
    )
    rows = is_open.order_by().values("currency")
    sums = {
        row["currency"]: (row["total"] or Decimal(0), row["deals"])
        for row in rows.annotate(total=Sum("amount"), deals=Count("pk"))
    }
    own, _ = sums.get(company.currency, (Decimal(0), 0))
    others = sorted(
        (total, code)
        for code, (total, _) in sums.items()
        if code != company.currency and total
    )
    return DealNumbers(
        own, company.currency, others[::-1], sum(deals for _, deals in sums.values())
    )


def open_events(company: Company, connection: Connection | None) -> OpenEvents:
    all_on_hold = not is_sending(connection)
    events = ConversionEvent.objects.for_company(company.pk).counted().order_by()
    rows = events.filter(state__in=OPEN_STATES).values_list("state", "rule__is_paused")
    counts: Counter[str] = Counter()
    for state, is_paused, count in rows.annotate(count=Count("pk")):
        counts[filter_of(state, is_on_hold=all_on_hold or is_paused)] += count
    return OpenEvents(
        counts[StateFilter.ON_HOLD],
        counts[StateFilter.WAITING],
        counts[StateFilter.QUEUED],
    )
