"""Forgetting the log: which events and attempts came to their end before a moment, and what still needs them.

Both are found by the company and the id, as the log is in the order of time: an index over times would cost every
batch, and without either each statement would read the whole log.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache

from capi.delivery.planning_sql import named
from capi.models import Attempt, ConversionEvent, ConversionEventQuerySet, EarlierAttempt
from capi.models.choices import OPEN_STATES
from capi.models.functions import first_id_since
from capi.services.statistics import MARGIN, recount_days, seal_counts


def count_for_good(before: datetime, renew: Callable[[], None]) -> None:
    """Count every day again, and keep the counts of those that are about to lose rows.

    Raises what `renew` does, which is called before each day and once all are counted: a count that the end of its
    worker cut short is not kept.
    """
    recount_days(renew)
    renew()
    seal_counts(before)


def ended_events(before: datetime) -> Iterator[ConversionEventQuerySet]:
    """Those that came to their end before the moment, company by company. What is open stays, however old."""
    for company_id in named("company").order_by("pk").values_list("pk", flat=True):
        recorded = _recorded_before(company_id, before)
        yield recorded.filter(settled_at__lt=before).exclude(state__in=OPEN_STATES)


def attempts_in_use(before: datetime) -> Callable[[Sequence[int]], set[int]]:
    """Tells of attempts that started before the moment which ones an event still names, as its last or as an earlier.

    Such an event was recorded before its attempt, and so before the moment. Call it when `ended_events` are gone: there
    are few left to look through then.
    """
    recorded = cache(lambda company_id: _recorded_before(company_id, before))

    def in_use(pks: Sequence[int]) -> set[int]:
        found = set(EarlierAttempt.objects.filter(attempt__in=pks).values_list("attempt", flat=True))
        companies = Attempt.objects.filter(pk__in=pks).order_by().values_list("company", flat=True).distinct()
        for company_id in companies:
            last = recorded(company_id).filter(last_attempt__in=pks)
            found.update(last.values_list("last_attempt", flat=True))
        return found

    return in_use


def _recorded_before(company_id: int, moment: datetime) -> ConversionEventQuerySet:
    """Events of the company up to an hour too many, and none too few."""
    bound = first_id_since(company_id, moment + MARGIN)
    return ConversionEvent.objects.for_company(company_id).filter(pk__lt=bound)
