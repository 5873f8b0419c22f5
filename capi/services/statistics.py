"""Counting the log by the day, so that no page has to: see docs/decisions/days-are-counted.md.

A turn counts those days of a company again that may have changed, each from the log itself and in a transaction of its
own, so that it can be done twice, by two at once, or be cut off anywhere. A day may have changed where events were
recorded since the last turn, or where others are open now than were when it was counted: all that happens to an event
begins or ends with its being open. What slips through that (an acceptance of something that had been called off, say)
is put right within a day: before the log is pruned every day is counted anew.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Case, CharField, Count, F, Q, Sum, Value, When
from django.db.models.functions import Now, TruncDate
from django.utils import timezone

from capi.delivery import shutdown
from capi.models import ConversionEvent, ConversionEventQuerySet, ConversionRule, CountedLog, DayCount
from capi.models.choices import OPEN_STATES, State
from capi.models.functions import database_now, first_id_since, start_of
from capi.models.statistics import bucket_between

COUNT_EVERY_SECONDS: Final = 30
# How far the order of ids and the order of time may be apart: a long statement dates all of its rows at its start.
MARGIN: Final = timedelta(hours=1)
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


def refresh_counts() -> None:
    """Bring the counts up to date for each company that no worker has counted for EVERY_SECONDS."""
    for log in _logs():
        if _claim(log):
            _turn(log)


def recount_days(renew: Callable[[], None] = lambda: None) -> None:
    """Count every day again that the log still has in full. Raises what `renew` does, which is called before each."""
    for log in _logs():
        _turn(log, everything=True, renew=renew)


def seal_counts(before: datetime) -> None:
    """Keep the counts of all days that began before this moment as they are: rows of theirs are about to go."""
    for log in _logs():
        with transaction.atomic(), timezone.override(log.company.time_zone):
            held = CountedLog.objects.select_for_update().get(pk=log.pk)
            day = timezone.localdate(before) + timedelta(days=1)
            held.sealed_before = max(held.sealed_before or day, day)
            held.save(update_fields=["sealed_before"])


def _logs() -> Iterable[CountedLog]:
    companies = ConversionRule._base_manager.filter(company__counted_log=None).order_by().values_list("company")
    CountedLog.objects.bulk_create([CountedLog(company_id=pk) for (pk,) in companies.distinct()], ignore_conflicts=True)
    return CountedLog.objects.select_related("company").order_by("claimed_at")


def _claim(log: CountedLog) -> bool:
    free = Q(claimed_at=None) | Q(claimed_at__lt=Now() - timedelta(seconds=COUNT_EVERY_SECONDS))
    return bool(CountedLog.objects.filter(free, pk=log.pk).update(claimed_at=Now()))


def _turn(log: CountedLog, *, everything: bool = False, renew: Callable[[], None] = lambda: None) -> None:
    with timezone.override(log.company.time_zone):
        if log.time_zone != log.company.time_zone:
            _begin_anew(log)
        started = database_now()
        newest = _events(log).order_by("-pk").values_list("pk", flat=True).first() or 0
        open_now = _open_by_day(log)
        for day in sorted(_changed_days(log, newest, open_now, everything=everything), reverse=True):
            renew()
            if shutdown.has_begun():
                return
            _count(log, day, open_now.get(day, ""))
        CountedLog.objects.filter(pk=log.pk).update(counted_at=started, newest_id=newest)


def _events(log: CountedLog) -> ConversionEventQuerySet:
    return ConversionEvent.objects.for_company(log.company_id)


def _open_by_day(log: CountedLog) -> dict[date, str]:
    """For each day that has open events, what is different as soon as others are open: how many, and all their ids."""
    events = _events(log).counted().filter(state__in=OPEN_STATES).annotate(day=TruncDate("created_at"))
    rows = events.order_by("day", "state").values_list("day", "state").annotate(Count("pk"), Sum("pk"))
    found: defaultdict[date, str] = defaultdict(str)
    for day, state, count, ids in rows:
        found[day] += f"{state} {count} {ids} "
    return dict(found)


def _changed_days(log: CountedLog, newest: int, open_now: dict[date, str], *, everything: bool) -> set[date]:
    counted = {date.fromisoformat(day): what for day, what in log.open_by_day.items()}
    changed = {day for day in {*counted, *open_now} if counted.get(day) != open_now.get(day)}
    if everything or log.counted_at is None:
        counted_days = DayCount.objects.for_company(log.company_id).order_by().values_list("day", flat=True)
        changed |= {*_days_with_events(log), *counted_days.distinct()}
    elif newest != log.newest_id:
        changed |= set(_days_with_events(log, since=log.counted_at - MARGIN))
    return {day for day in changed if log.sealed_before is None or day >= log.sealed_before}


def _days_with_events(log: CountedLog, since: datetime = LONG_AGO) -> Iterator[date]:
    """From event to event, a step for each day that has some."""
    while True:
        ahead = _events(log).filter(pk__gte=first_id_since(log.company_id, since)).order_by("pk")
        recorded_at = ahead.values_list("created_at", flat=True).first()
        if recorded_at is None:
            return
        day = timezone.localdate(max(recorded_at, since))
        yield day
        since = start_of(day + timedelta(days=1))


@transaction.atomic
def _count(log: CountedLog, day: date, open_now: str) -> None:
    held = CountedLog.objects.select_for_update().get(pk=log.pk)
    if held.sealed_before is not None and day < held.sealed_before:
        return
    DayCount.objects.for_company(log.company_id).filter(day=day).delete()
    DayCount.objects.bulk_create(_counts_of(log.company_id, day))
    held.open_by_day.pop(day.isoformat(), None)
    if open_now:
        held.open_by_day[day.isoformat()] = open_now
    held.save(update_fields=["open_by_day"])


def _counts_of(company_id: int, day: date) -> Iterator[DayCount]:
    begin, end = start_of(day), start_of(day + timedelta(days=1))
    ids = Q(pk__gte=first_id_since(company_id, begin - MARGIN), pk__lt=first_id_since(company_id, end + MARGIN))
    events = ConversionEvent.objects.for_company(company_id).counted()
    rows = (
        events.filter(ids, created_at__gte=begin, created_at__lt=end)
        .annotate(
            why=Case(When(state=State.PENDING, then=Value("")), default=F("reason"), output_field=CharField()),
            bucket=Case(
                When(state=State.ACCEPTED, settled_at__isnull=False, then=bucket_between("created_at", "settled_at")),
                default=Value(0),
            ),
        )
        .order_by()
        .values_list("rule", "state", "why", "bucket")
        .annotate(Count("pk"))
    )
    for rule, state, why, bucket, count in rows:
        yield DayCount(
            company_id=company_id, rule_id=rule, day=day, state=state, reason=why, bucket=bucket, count=count
        )


def _begin_anew(log: CountedLog) -> None:
    """Forget the days that can be counted again: the company has moved to another time zone, where days are others."""
    log.time_zone, log.counted_at, log.open_by_day = log.company.time_zone, None, {}
    counts = DayCount.objects.for_company(log.company_id)
    with transaction.atomic():
        (counts.filter(day__gte=log.sealed_before) if log.sealed_before else counts).delete()
        log.save(update_fields=["time_zone", "counted_at", "open_by_day"])
