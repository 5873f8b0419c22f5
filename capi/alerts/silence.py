"""Whether a rule fell silent: nothing of it is on its way to LinkedIn, though by its history something should be."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from django.db.models import QuerySet

from capi.alerts.conditions import Condition
from capi.models import ConversionRule
from capi.reasons import AlertKind, State
from crm.models import CrmEvent

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
        condition = _condition(company_id, rule, now)
        if condition is not None:
            yield condition


def _condition(company_id: int, rule: ConversionRule, now: datetime) -> Condition | None:
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
