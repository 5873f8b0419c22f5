"""Whether too many events of a rule fail."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count

from capi.alerts.conditions import Condition
from capi.models import ConversionEvent, ConversionEventQuerySet, ConversionRule
from capi.reads.moments import id_behind
from capi.reasons import AlertKind, State

WINDOW: Final = timedelta(hours=24)
AT_LEAST: Final = 20  # events that ended: of fewer no share is told
OPENS_AT_PERCENT: Final = 20
CLOSES_BELOW_PERCENT: Final = 10
NEWEST: Final = 20_000
FAILED: Final = (State.REJECTED, State.EXHAUSTED)


def failing_rules(company_id: int, rules: Sequence[ConversionRule], *, now: datetime) -> Iterator[Condition]:
    """The rules of which 20 % or more of the events that ended within 24 hours failed, where 20 or more ended.

    An open alert stays until the share is below 10 %, and while nothing ended. What failed is counted up to 20,000
    events for each way of failing, what was sent among the company's newest 20,000.
    """
    since = now - WINDOW
    failed = _failed(company_id, since)
    sent = _sent(company_id, since)
    for rule in rules:
        condition = _condition(rule, failed[rule.pk], failed[rule.pk] + sent[rule.pk])
        if condition is not None:
            yield condition


def _condition(rule: ConversionRule, failed: int, ended: int) -> Condition | None:
    if ended and 100 * failed < CLOSES_BELOW_PERCENT * ended:
        return None
    opens = ended >= AT_LEAST and 100 * failed >= OPENS_AT_PERCENT * ended
    facts: dict[str, int | str] = {"failed": failed, "ended": ended}
    return Condition(AlertKind.FAILING, rule.pk, facts=facts, only_keeps=not opens)


def _failed(company_id: int, since: datetime) -> Counter[int]:
    # Without its own state an index can't be followed: hence one stretch of it for each.
    counts: Counter[int] = Counter()
    for state in FAILED:
        counts += _by_rule(ConversionEvent.objects.for_company(company_id).filter(state=state), since)
    return counts


def _sent(company_id: int, since: datetime) -> Counter[int]:
    newest = ConversionEvent.objects.for_company(company_id)
    return _by_rule(newest, since, state=State.ACCEPTED)


def _by_rule(events: ConversionEventQuerySet, since: datetime, **only: str) -> Counter[int]:
    newest = events.filter(pk__gt=id_behind(events, NEWEST, order="-pk") or 0).filter(**only)
    counted = newest.counted().filter(settled_at__gte=since).order_by()
    return Counter(dict(counted.values_list("rule").annotate(Count("pk"))))
