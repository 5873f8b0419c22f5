"""The outcomes of the events in a period, from the counts by day: a few milliseconds, however long the log is.

For the dashboard, Overview and the page of a rule. Test events are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.db.models import QuerySet, Sum

from capi.models import ConversionRule, CountedLog, DayCount
from capi.models.choices import State
from capi.models.statistics import percentile
from capi.selectors.explanations.explain import explain_state
from capi.selectors.explanations.states import Explanation
from capi.selectors.state_groups import GROUPS, NEED_A_REASON, TO_BE_SENT, StateFilter
from crm.selectors.charts import BarChart, Series, bar_chart


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """The first and last day of a report, in the company's time zone. `rule` is None for all rules."""

    since: date
    until: date
    rule: ConversionRule | None = None

    @property
    def rule_id(self) -> int | None:
        return self.rule.pk if self.rule else None

    @property
    def days(self) -> list[date]:
        return [
            self.since + timedelta(days=number)
            for number in range((self.until - self.since).days + 1)
        ]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of the events, as of `counted_at` (None: nothing has been counted yet)."""

    sent: int
    on_the_way: int
    failed: int
    not_sent: int
    chart: BarChart
    counted_at: datetime | None

    @property
    def total(self) -> int:
        return self.sent + self.on_the_way + self.failed + self.not_sent

    @property
    def not_sent_at_all(self) -> int:
        """Events that ended without being accepted, for whatever reason."""
        return self.failed + self.not_sent

    @property
    def accepted_percent(self) -> float | None:
        """The share of sent and failed events that LinkedIn accepted, None if there are none."""
        return _percent(self.sent, self.sent + self.failed)


@dataclass(frozen=True, slots=True)
class NotSentReason:
    """A reason why events were not sent, or not yet. `chip` and `reason` find them in Recent Events."""

    words: Explanation
    count: int
    chip: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Events by state, and the accepted ones by the time from the change in the CRM to acceptance."""

    states: Counter[str]
    buckets: Counter[int]

    @property
    def typical_seconds(self) -> float | None:
        """Half of the accepted events took no longer. None if there are none."""
        return percentile(self.buckets, 0.5)

    @property
    def slow_seconds(self) -> float | None:
        """95 % of the accepted events took no longer. None if there are none."""
        return percentile(self.buckets, 0.95)

    @property
    def with_email_percent(self) -> float | None:
        to_be_sent = sum(self.states[state] for state in TO_BE_SENT)
        return _percent(to_be_sent - self.states[State.WAITING], to_be_sent)

    @property
    def by_group(self) -> list[int]:
        """The number of events in each of the GROUPS."""
        return [
            sum(self.states[state] for state in states) for states in GROUPS.values()
        ]


@dataclass(frozen=True, slots=True)
class Details:
    """What Overview shows in addition to the outcomes."""

    tally: Tally
    reasons: Sequence[NotSentReason]


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A row of the export of reasons: how many events of a rule and day have the same state and reason."""

    day: date
    rule: str
    words: Explanation
    count: int


def outcomes_of(company_id: int, period: ReportPeriod) -> Outcomes:
    """The outcomes of the events, in two queries."""
    rows = (
        _counts(company_id, period).values_list("day", "state").annotate(Sum("count"))
    )
    counts = Counter({(day, state): count for day, state, count in rows})
    series = [
        Series(
            label,
            tone,
            [sum(counts[day, state] for state in states) for day in period.days],
        )
        for (label, tone), states in GROUPS.items()
    ]
    counted_at = (
        CountedLog.objects.for_company(company_id)
        .values_list("counted_at", flat=True)
        .first()
    )
    sent, on_the_way, failed, not_sent = (one.total for one in series)
    return Outcomes(
        sent, on_the_way, failed, not_sent, bar_chart(period.days, series), counted_at
    )


def details_of(company_id: int, period: ReportPeriod) -> Details:
    """Durations and reasons, in one query."""
    counts = (
        _counts(company_id, period)
        .values_list("state", "reason", "bucket")
        .annotate(Sum("count"))
    )
    # A stable order for equally frequent reasons.
    rows = list(counts.order_by("state", "reason"))
    reasons: Counter[tuple[str, str]] = Counter()
    for state, reason, _, count in rows:
        if state in NEED_A_REASON:
            reasons[state, reason] += count
    return Details(
        tally=_tally((state, bucket, count) for state, _, bucket, count in rows),
        reasons=[
            _why_not(State(state), reason, count)
            for (state, reason), count in reasons.most_common()
        ],
    )


def days_of(company_id: int, period: ReportPeriod) -> Iterator[tuple[date, Tally]]:
    """The tally of each day with events, in order."""
    rows = (
        _counts(company_id, period)
        .values_list("day", "state", "bucket")
        .annotate(Sum("count"))
        .order_by("day")
    )
    for day, of_day in groupby(rows.iterator(chunk_size=1_000), key=lambda row: row[0]):
        yield day, _tally((state, bucket, count) for _, state, bucket, count in of_day)


def rows_of(company_id: int, period: ReportPeriod) -> Iterator[ReportRow]:
    """The reasons, by day."""
    rows = (
        _counts(company_id, period)
        .values_list("day", "rule__name", "state", "reason")
        .annotate(Sum("count"))
    )
    for day, rule, state, reason, count in rows.order_by(
        "day", "rule", "state", "reason"
    ).iterator(chunk_size=1_000):
        yield ReportRow(day, rule, explain_state(State(state), reason), count)


def _counts(company_id: int, period: ReportPeriod) -> QuerySet[DayCount]:
    counts = (
        DayCount.objects.for_company(company_id)
        .filter(day__range=(period.since, period.until))
        .order_by()
    )
    return counts.filter(rule=period.rule) if period.rule else counts


def _tally(rows: Iterable[tuple[str, int, int]]) -> Tally:
    """The tally of rows of state, bucket and count."""
    tally = Tally(Counter(), Counter())
    for state, bucket, count in rows:
        tally.states[state] += count
        if bucket:
            tally.buckets[bucket] += count
    return tally


def _why_not(state: State, reason: str, count: int) -> NotSentReason:
    return NotSentReason(
        explain_state(state, reason), count, StateFilter(state.value), reason
    )


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
