"""What has to be counted: it is counted before the look's transaction, with queries that read a bounded number of rows.

Counting says nothing of a line or a rule that is on hold: what it said before then stands.
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
    """The conditions of the company that counting brings to light."""
    connection = Connection.objects.for_company(company_id).first()
    if connection is None:
        return []
    rules = list(ConversionRule.objects.for_company(company_id).active())
    sending = [rule for rule in rules if connection.is_sending and not rule.is_paused]
    held = [rule for rule in rules if rule not in sending]
    return [
        *hold_ending(connection, now=now),
        *failing_rules(company_id, sending, now=now),
        *silent_rules(company_id, sending, now=now),
        *_as_before(held),
    ]


def _as_before(rules: Sequence[ConversionRule]) -> list[Condition]:
    kinds = (AlertKind.FAILING, AlertKind.SILENT)
    return [Condition(kind, rule.pk, only_keeps=True) for rule in rules for kind in kinds]


# --- Whether too many events of a rule fail.

WINDOW: Final = timedelta(days=30)
ENOUGH_ENDED: Final = 20  # events that ended: of so many a fifth tells something
FEW: Final = 5  # of a rule that has no more, half of them does; of fewer than these no share is told
OPENS_AT_PERCENT: Final = {ENOUGH_ENDED: 20, FEW: 50}
CLOSES_BELOW_PERCENT: Final = 10
FAILED: Final = (State.REJECTED, State.EXHAUSTED)


@dataclass(frozen=True, slots=True)
class EndedCount:
    """How many events came to an end, and how many of them failed."""

    failed: int = 0
    in_all: int = 0

    def __add__(self, other: "EndedCount") -> "EndedCount":
        return EndedCount(self.failed + other.failed, self.in_all + other.in_all)

    def is_at_least(self, percent: int) -> bool:
        """True if this share of them failed, or more."""
        return 100 * self.failed >= percent * self.in_all


def failing_rules(company_id: int, rules: Sequence[ConversionRule], *, now: datetime) -> Iterator[Condition]:
    """The rules of which too many of the newest events failed, among those that ended.

    The newest are those of the last days with 20 such events, and 20 % of them are too many. A rule that has not so
    many in 30 days is judged by the last days with 5 of them, and 50 % are too many. An open alert stays until the
    share is below 10 %, and while nothing ended.
    """
    ended = _ended_by_day(company_id, since=(now - WINDOW).date())
    for rule in rules:
        condition = _failing(rule.pk, ended[rule.pk])
        if condition is not None:
            yield condition


def _failing(rule_id: int, days: Sequence[EndedCount]) -> Condition | None:
    at_least = ENOUGH_ENDED if sum(day.in_all for day in days) >= ENOUGH_ENDED else FEW
    newest = _newest(days, at_least)
    if newest.in_all and not newest.is_at_least(CLOSES_BELOW_PERCENT):
        return None
    opens = newest.in_all >= at_least and newest.is_at_least(OPENS_AT_PERCENT[at_least])
    facts: dict[str, int | str] = {"failed": newest.failed, "ended": newest.in_all}
    return Condition(AlertKind.FAILING, rule_id, facts=facts, only_keeps=not opens)


def _newest(days: Sequence[EndedCount], at_least: int) -> EndedCount:
    """What ended on as many of the last days as it takes to come to so many, whole days only."""
    newest = EndedCount()
    for day in days:
        if newest.in_all >= at_least:
            break
        newest += day
    return newest


def _ended_by_day(company_id: int, *, since: date) -> defaultdict[int, list[EndedCount]]:
    """By rule: what ended of the events of each day, the last day first."""
    counts = DayCount.objects.for_company(company_id).filter(day__gt=since, state__in=[State.ACCEPTED, *FAILED])
    by_day = counts.values("rule", "day").order_by("rule", "-day")
    rows = by_day.annotate(failed=Sum("count", filter=Q(state__in=FAILED), default=0), in_all=Sum("count"))
    found: defaultdict[int, list[EndedCount]] = defaultdict(list)
    for row in rows:
        found[row["rule"]].append(EndedCount(row["failed"], row["in_all"]))
    return found


# --- Whether a rule fell silent: nothing of it is on its way to LinkedIn, though by its history something should be.

WEEK: Final = timedelta(weeks=1)
SHORTEST: Final = timedelta(days=1)
WEEKS_OF_HISTORY: Final = range(4, 9)
EXPECTED: Final = 7  # of a Poisson distribution with this mean, 0 has a probability of 0.09 %
ENOUGH: Final = 100  # a stretch with more tells nothing new

# What reached the point of being sent. What waits for an address, was skipped or cancelled did not.
ON_ITS_WAY: Final = (State.PENDING, State.ACCEPTED, State.REJECTED, State.EXHAUSTED)


def silent_rules(company_id: int, rules: Sequence[ConversionRule], *, now: datetime) -> Iterator[Condition]:
    """The rules that have been silent for so long that it is no accident.

    The silence is laid over each of the last 4 to 8 weeks before it, at the same time of the week: nights, weekends
    and one big import then raise no alarm. The median of what these weeks held is what was to be expected, and the
    alarm comes at 7: were events to come at random, none at all would then be a matter of less than 0.1 %. A silence
    beyond a week expects in proportion more. A day is the least, and a rule younger than 4 weeks has no history.
    """
    for rule in rules:
        condition = _silent(company_id, rule, now)
        if condition is not None:
            yield condition


def _silent(company_id: int, rule: ConversionRule, now: datetime) -> Condition | None:
    events = _events_of(company_id, rule)
    last = events.order_by("-occurred_at").values_list("occurred_at", flat=True).first()
    if last is not None and now - last < SHORTEST:
        return None
    weeks = min((last - rule.created_at) // WEEK, WEEKS_OF_HISTORY[-1]) if last is not None else 0
    if last is None or weeks < WEEKS_OF_HISTORY[0]:
        return Condition(AlertKind.SILENT, rule.pk, only_keeps=True)
    if _expected(events, last, now, weeks) < EXPECTED:
        return None
    in_all = events.filter(occurred_at__gt=last - weeks * WEEK, occurred_at__lte=last).count()
    facts: dict[str, int | str] = {"days": (now - last).days, "per_week": round(in_all / weeks)}
    return Condition(AlertKind.SILENT, rule.pk, facts=facts)


def _expected(events: QuerySet[CrmEvent], last: datetime, now: datetime, weeks: int) -> float:
    stretch = min(now - last, WEEK)
    starts = [last - ago * WEEK for ago in range(1, weeks + 1)]
    counts = [_count(events, start, start + stretch) for start in starts]
    return median(counts) * ((now - last) / stretch)


def _count(events: QuerySet[CrmEvent], start: datetime, end: datetime) -> int:
    """How many came after `start` and until `end`, but no more than ENOUGH."""
    return len(events.filter(occurred_at__gt=start, occurred_at__lte=end).order_by("occurred_at")[:ENOUGH].values("pk"))


def _events_of(company_id: int, rule: ConversionRule) -> QuerySet[CrmEvent]:
    """Through the CRM events, whose index knows kind and time: the rule's own events have no index by time."""
    own = CrmEvent.objects.for_company(company_id).filter(kind=rule.crm_event)
    return own.filter(conversion_events__rule=rule, conversion_events__state__in=ON_ITS_WAY)


# --- Whether the first event on hold comes near the age beyond which LinkedIn takes it no more.

DAYS: Final = (3, 14)


def hold_ending(connection: Connection, *, now: datetime) -> Iterator[Condition]:
    """The condition that an event on hold has 14 days left, or 3, until it is too old."""
    oldest = _oldest_on_hold(connection)
    if oldest is None:
        return
    ends_at = oldest + timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    stage = next((days for days in DAYS if (ends_at - now).days <= days), None)
    if stage is not None:
        yield Condition(AlertKind.HOLD_ENDING, stage=stage, facts={"on": ends_at.date().isoformat()})


def _oldest_on_hold(connection: Connection) -> datetime | None:
    held = ConversionEvent.objects.for_company(connection.company_id).on_hold(connection)
    first = held.order_by("pk").values("happened_at")[:COUNT_LIMIT].aggregate(oldest=Min("happened_at"))
    oldest: datetime | None = first["oldest"]
    return oldest
