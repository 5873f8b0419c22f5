"""Conditions that need counting. The queries run before the transaction and read a bounded number of rows.

Counts mean nothing while a connection or a rule is on hold: open alerts then stay as they are.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final

from django.conf import settings
from django.db.models import Min, Q, QuerySet, Sum

from capi.alerts.conditions import Condition
from capi.models import Connection, ConversionEvent, ConversionRule, DayCount
from capi.models.choices import AlertKind, State
from capi.selectors.on_hold import COUNT_LIMIT
from crm.models import CrmEvent


def measures_of(company_id: int, *, now: datetime) -> list[Condition]:
    """The company's conditions that depend on counts."""
    connection = Connection.objects.for_company(company_id).first()
    if connection is None:
        return []
    rules = list(ConversionRule.objects.for_company(company_id).active())
    held = [rule for rule in rules if rule.is_on_hold(connection)]
    sending = [rule for rule in rules if rule not in held]
    return [
        *hold_ending(connection, now=now),
        *failing_rules(company_id, sending, now=now),
        *silent_rules(company_id, sending, now=now),
        *_unchanged(held),
    ]


def _unchanged(rules: Sequence[ConversionRule]) -> list[Condition]:
    kinds = (AlertKind.FAILING, AlertKind.SILENT)
    return [
        Condition(kind, rule.pk, only_keeps=True) for rule in rules for kind in kinds
    ]


# Failing: too many of a rule's events fail.

WINDOW: Final = timedelta(days=30)
# Ended events: with at least this many, 20 % failures are significant.
ENOUGH_ENDED: Final = 20
FEW: Final = 5  # with at least this many, 50 % are; with fewer, no share is
OPENS_AT_PERCENT: Final = {ENOUGH_ENDED: 20, FEW: 50}
CLOSES_BELOW_PERCENT: Final = 10
FAILED: Final = (State.REJECTED, State.EXHAUSTED)


@dataclass(frozen=True, slots=True)
class EndedCount:
    """How many events ended, and how many of them failed."""

    failed: int = 0
    total: int = 0

    def __add__(self, other: "EndedCount") -> "EndedCount":
        return EndedCount(self.failed + other.failed, self.total + other.total)

    def is_at_least(self, percent: int) -> bool:
        """True if at least this percentage failed."""
        return 100 * self.failed >= percent * self.total


def failing_rules(
    company_id: int, rules: Sequence[ConversionRule], *, now: datetime
) -> Iterator[Condition]:
    """The rules with too many failures among their newest ended events.

    The newest are those of the last days that reach 20 ended events; 20 % failures are then too many. For a rule with
    fewer in 30 days, it is 5 events and 50 %. An open alert stays until the share is below 10 %, and while none end.
    """
    ended = _ended_by_day(company_id, since=(now - WINDOW).date())
    for rule in rules:
        condition = _failing(rule.pk, ended[rule.pk])
        if condition is not None:
            yield condition


def _failing(rule_id: int, days: Sequence[EndedCount]) -> Condition | None:
    at_least = ENOUGH_ENDED if sum(day.total for day in days) >= ENOUGH_ENDED else FEW
    newest = _newest(days, at_least)
    if newest.total and not newest.is_at_least(CLOSES_BELOW_PERCENT):
        return None
    opens = newest.total >= at_least and newest.is_at_least(OPENS_AT_PERCENT[at_least])
    facts: dict[str, int | str] = {"failed": newest.failed, "ended": newest.total}
    return Condition(AlertKind.FAILING, rule_id, facts=facts, only_keeps=not opens)


def _newest(days: Sequence[EndedCount], at_least: int) -> EndedCount:
    """The ended events of the fewest last days that reach `at_least`, whole days only."""
    newest = EndedCount()
    for day in days:
        if newest.total >= at_least:
            break
        newest += day
    return newest


def _ended_by_day(
    company_id: int, *, since: date
) -> defaultdict[int, list[EndedCount]]:
    """By rule: the ended events of each day, latest day first."""
    counts = DayCount.objects.for_company(company_id).filter(
        day__gt=since, state__in=[State.ACCEPTED, *FAILED]
    )
    by_day = counts.values("rule", "day").order_by("rule", "-day")
    rows = by_day.annotate(
        failed=Sum("count", filter=Q(state__in=FAILED), default=0), total=Sum("count")
    )
    by_rule: defaultdict[int, list[EndedCount]] = defaultdict(list)
    for row in rows:
        by_rule[row["rule"]].append(EndedCount(row["failed"], row["total"]))
    return by_rule


# Silent: a rule sends nothing, although by its history it should.

WEEK: Final = timedelta(weeks=1)
SHORTEST: Final = timedelta(days=1)
WEEKS_OF_HISTORY: Final = range(4, 9)
# In a Poisson distribution with this mean, 0 has a probability of 0.09 %.
EXPECTED: Final = 7
ENOUGH: Final = 100  # a larger count changes nothing

# Events that got at least as far as the queue, unlike those waiting for an address, skipped or cancelled.
ON_ITS_WAY: Final = (State.PENDING, State.ACCEPTED, State.REJECTED, State.EXHAUSTED)


def silent_rules(
    company_id: int, rules: Sequence[ConversionRule], *, now: datetime
) -> Iterator[Condition]:
    """The rules that have been silent for too long to be chance.

    The silence is compared with the same stretch of each of the 4 to 8 weeks before it, so that nights, weekends and
    one big import raise no alarm. The median of those weeks is the expected number, and the alarm comes at 7: if events
    were random, none at all would then have a probability below 0.1 %. Beyond a week, the expected number grows in
    proportion. A silence lasts at least a day, and a rule needs 4 weeks of history.
    """
    for rule in rules:
        condition = _silent(company_id, rule, now)
        if condition is not None:
            yield condition


def _silent(company_id: int, rule: ConversionRule, now: datetime) -> Condition | None:
    events = _events_of(company_id, rule)
    last = events.order_by("-occurred_at").values_list("occurred_at", flat=True).first()
    if last is None:
        return Condition(AlertKind.SILENT, rule.pk, only_keeps=True)
    if now - last < SHORTEST:
        return None
    weeks = min((last - rule.created_at) // WEEK, WEEKS_OF_HISTORY[-1])
    if weeks < WEEKS_OF_HISTORY[0]:
        return Condition(AlertKind.SILENT, rule.pk, only_keeps=True)
    if _expected(events, last, now, weeks) < EXPECTED:
        return None
    total = events.filter(
        occurred_at__gt=last - weeks * WEEK, occurred_at__lte=last
    ).count()
    facts: dict[str, int | str] = {
        "days": (now - last).days,
        "per_week": round(total / weeks),
    }
    return Condition(AlertKind.SILENT, rule.pk, facts=facts)


def _expected(
    events: QuerySet[CrmEvent], last: datetime, now: datetime, weeks: int
) -> float:
    stretch = min(now - last, WEEK)
    starts = [last - ago * WEEK for ago in range(1, weeks + 1)]
    counts = [_count(events, start, start + stretch) for start in starts]
    return median(counts) * ((now - last) / stretch)


def _count(events: QuerySet[CrmEvent], start: datetime, end: datetime) -> int:
    """How many events occurred after `start` and up to `end`, at most ENOUGH."""
    return len(
        events.filter(occurred_at__gt=start, occurred_at__lte=end)
        .order_by("occurred_at")[:ENOUGH]
        .values("pk")
    )


def _events_of(company_id: int, rule: ConversionRule) -> QuerySet[CrmEvent]:
    """The rule's CRM events. Their index covers kind and time; conversion events have no index on time."""
    own = CrmEvent.objects.for_company(company_id).filter(kind=rule.crm_event)
    return own.filter(
        conversion_events__rule=rule, conversion_events__state__in=ON_ITS_WAY
    )


# Hold ending: the oldest event on hold is almost too old for LinkedIn.

DAYS: Final = (3, 14)


def hold_ending(connection: Connection, *, now: datetime) -> Iterator[Condition]:
    """The condition that an event on hold will be too old within 14 days, or within 3."""
    oldest = _oldest_on_hold(connection)
    if oldest is None:
        return
    ends_at = oldest + timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    stage = next((days for days in DAYS if (ends_at - now).days <= days), None)
    if stage is not None:
        yield Condition(
            AlertKind.HOLD_ENDING, stage=stage, facts={"on": ends_at.date().isoformat()}
        )


def _oldest_on_hold(connection: Connection) -> datetime | None:
    held = ConversionEvent.objects.for_company(connection.company_id).on_hold(
        connection
    )
    first = (
        held.order_by("pk")
        .values("happened_at")[:COUNT_LIMIT]
        .aggregate(oldest=Min("happened_at"))
    )
    oldest: datetime | None = first["oldest"]
    return oldest
