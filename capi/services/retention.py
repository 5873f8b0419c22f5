"""Retention of the log: which events and attempts ended before a given time, and which attempts are still in use.

Both are found by company and a range of ids, which follow the time: an index on times would slow down every batch, and
without either, each statement would read the whole log.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache

from capi.models import (
    Attempt,
    ConversionEvent,
    ConversionEventQuerySet,
    EarlierAttempt,
)
from capi.models.choices import OPEN_STATES
from capi.models.functions import first_id_since
from capi.services.statistics import MARGIN, close_counts, recount_days
from crm.models import Company


def count_for_good(before: datetime, renew: Callable[[], None]) -> None:
    """Count every day again, and seal the counts of days that are about to lose rows.

    Calls `renew` before each day and once after the last. Its exceptions pass through: if they interrupt the count,
    nothing is sealed.
    """
    recount_days(renew)
    renew()
    close_counts(before)


def ended_events(before: datetime) -> Iterator[ConversionEventQuerySet]:
    """The events that ended before this time, company by company. Open events stay, however old."""
    for company_id in Company._base_manager.order_by("pk").values_list("pk", flat=True):
        recorded = _recorded_before(company_id, before)
        yield recorded.filter(settled_at__lt=before).exclude(state__in=OPEN_STATES)


def attempts_in_use(before: datetime) -> Callable[[Sequence[int]], set[int]]:
    """Returns a function that finds which attempts an event still refers to, as its last or an earlier one.

    The attempts must have started before this time: their events were recorded even earlier. Call it after deleting
    `ended_events`, when few events are left to search.
    """
    recorded = cache(lambda company_id: _recorded_before(company_id, before))

    def in_use(pks: Sequence[int]) -> set[int]:
        used = set(
            EarlierAttempt.objects.filter(attempt__in=pks).values_list(
                "attempt", flat=True
            )
        )
        companies = (
            Attempt.objects.filter(pk__in=pks)
            .order_by()
            .values_list("company", flat=True)
            .distinct()
        )
        for company_id in companies:
            last = recorded(company_id).filter(last_attempt__in=pks)
            used.update(last.values_list("last_attempt", flat=True))
        return used

    return in_use


def _recorded_before(company_id: int, moment: datetime) -> ConversionEventQuerySet:
    """The company's events recorded before this time, and up to an hour of later ones.

    The range begins at the company's first event: PostgreSQL may walk the primary key through it, and would otherwise
    begin at the first event of all companies.
    """
    first = (
        ConversionEvent.objects.oldest_of(company_id)
        .values_list("pk", flat=True)
        .first()
        or 0
    )
    bound = first_id_since(company_id, moment + MARGIN)
    return ConversionEvent.objects.for_company(company_id).filter(
        pk__gte=first, pk__lt=bound
    )
