"""Whether too many events of a rule fail.

From the counts by day: they know every event of a rule, however much its neighbours send, at the price of a few rows.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db.models import Q, Sum

from capi.alerts.conditions import Condition
from capi.models import ConversionRule, DayCount
from capi.reasons import AlertKind, State

WINDOW: Final = timedelta(days=30)
ENOUGH: Final = 20  # events that ended: of so many a fifth tells something
FEW: Final = 5  # of a rule that has no more, half of them does; of fewer than these no share is told
OPENS_AT_PERCENT: Final = {ENOUGH: 20, FEW: 50}
CLOSES_BELOW_PERCENT: Final = 10
FAILED: Final = (State.REJECTED, State.EXHAUSTED)


@dataclass(frozen=True, slots=True)
class Ended:
    """How many events came to an end, and how many of them failed."""

    failed: int = 0
    in_all: int = 0

    def __add__(self, other: "Ended") -> "Ended":
        return Ended(self.failed + other.failed, self.in_all + other.in_all)

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
        condition = _condition(rule.pk, ended[rule.pk])
        if condition is not None:
            yield condition


def _condition(rule_id: int, days: Sequence[Ended]) -> Condition | None:
    at_least = ENOUGH if sum(day.in_all for day in days) >= ENOUGH else FEW
    newest = _newest(days, at_least)
    if newest.in_all and not newest.is_at_least(CLOSES_BELOW_PERCENT):
        return None
    opens = newest.in_all >= at_least and newest.is_at_least(OPENS_AT_PERCENT[at_least])
    facts: dict[str, int | str] = {"failed": newest.failed, "ended": newest.in_all}
    return Condition(AlertKind.FAILING, rule_id, facts=facts, only_keeps=not opens)


def _newest(days: Sequence[Ended], at_least: int) -> Ended:
    """What ended on as many of the last days as it takes to come to so many, whole days only."""
    newest = Ended()
    for day in days:
        if newest.in_all >= at_least:
            break
        newest += day
    return newest


def _ended_by_day(company_id: int, *, since: date) -> defaultdict[int, list[Ended]]:
    """By rule: what ended of the events of each day, the last day first."""
    counts = DayCount.objects.for_company(company_id).filter(day__gt=since, state__in=[State.ACCEPTED, *FAILED])
    by_day = counts.values("rule", "day").order_by("rule", "-day")
    rows = by_day.annotate(failed=Sum("count", filter=Q(state__in=FAILED), default=0), in_all=Sum("count"))
    found: defaultdict[int, list[Ended]] = defaultdict(list)
    for row in rows:
        found[row["rule"]].append(Ended(row["failed"], row["in_all"]))
    return found
