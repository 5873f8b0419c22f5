"""Count the log by day, so no page has to: see docs/decisions/daily-counts.md.

A run recounts the days of a company that may have changed. It counts each day from the log, in its own transaction, so
a run can be repeated, overlap with another, or be interrupted anywhere. A day may have changed if events were recorded
since the last run, or if its open events differ from those at its last count: every change to an event starts or ends
in an open state. Rare exceptions, such as the acceptance of a cancelled event, are corrected within a day: all days are
recounted before the log is pruned.
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
from capi.models import ConversionEvent, ConversionRule, CountedLog, DayCount
from capi.models.choices import OPEN_STATES, State
from capi.models.functions import database_now, first_id_since
from capi.models.statistics import bucket_between
from crm.models.company import start_of

COUNT_EVERY_SECONDS: Final = 30
# How far ids and times may be out of order: all rows of a long statement have its start time.
MARGIN: Final = timedelta(hours=1)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


def refresh_counts() -> None:
    """Update the counts of each company that no worker has counted for COUNT_EVERY_SECONDS."""
    for log in _logs():
        if _claim(log):
            _count_log(log)


def recount_days(renew: Callable[[], None] = lambda: None) -> None:
    """Recount every day that is still complete in the log. Calls `renew` before each; its exceptions pass through."""
    for log in _logs():
        _count_log(log, everything=True, renew=renew)


def close_counts(before: datetime) -> None:
    """Freeze the counts of all days that began before this time: their rows are about to be deleted."""
    for log in _logs():
        with transaction.atomic(), timezone.override(log.company.time_zone):
            locked = CountedLog.objects.select_for_update().get(pk=log.pk)
            day = timezone.localdate(before) + timedelta(days=1)
            locked.sealed_before = max(locked.sealed_before or day, day)
            locked.save(update_fields=["sealed_before"])


def _logs() -> Iterable[CountedLog]:
    companies = (
        ConversionRule._base_manager.filter(company__counted_log=None)
        .order_by()
        .values_list("company")
    )
    CountedLog.objects.bulk_create(
        [CountedLog(company_id=pk) for (pk,) in companies.distinct()],
        ignore_conflicts=True,
    )
    return CountedLog.objects.select_related("company").order_by("claimed_at")


def _claim(log: CountedLog) -> bool:
    free = Q(claimed_at=None) | Q(
        claimed_at__lt=Now() - timedelta(seconds=COUNT_EVERY_SECONDS)
    )
    return bool(CountedLog.objects.filter(free, pk=log.pk).update(claimed_at=Now()))


def _count_log(
    log: CountedLog,
    *,
    everything: bool = False,
    renew: Callable[[], None] = lambda: None,
) -> None:
    with timezone.override(log.company.time_zone):
        if log.time_zone != log.company.time_zone:
            _reset(log)
        started = database_now()
        newest = (
            ConversionEvent.objects.newest_of(log.company_id)
            .values_list("pk", flat=True)
            .first()
            or 0
        )
        open_now = _open_by_day(log)
        for day in sorted(
            _changed_days(log, newest, open_now, everything=everything), reverse=True
        ):
            renew()
            if shutdown.has_begun():
                return
            _count(log, day, open_now.get(day, ""))
        CountedLog.objects.filter(pk=log.pk).update(
            counted_at=started, newest_id=newest
        )


def _open_by_day(log: CountedLog) -> dict[date, str]:
    """A fingerprint of each day's open events: per state, their number and the sum of their ids."""
    events = (
        ConversionEvent.objects.for_company(log.company_id)
        .counted()
        .filter(state__in=OPEN_STATES)
    )
    by_day = (
        events.annotate(day=TruncDate("created_at"))
        .order_by("day", "state")
        .values_list("day", "state")
    )
    rows = by_day.annotate(Count("pk"), Sum("pk"))
    fingerprints: defaultdict[date, str] = defaultdict(str)
    for day, state, count, ids in rows:
        fingerprints[day] += f"{state} {count} {ids} "
    return dict(fingerprints)


def _changed_days(
    log: CountedLog, newest: int, open_now: dict[date, str], *, everything: bool
) -> set[date]:
    counted = {
        date.fromisoformat(day): fingerprint
        for day, fingerprint in log.open_by_day.items()
    }
    changed = {
        day for day in {*counted, *open_now} if counted.get(day) != open_now.get(day)
    }
    if everything or log.counted_at is None:
        counted_days = (
            DayCount.objects.for_company(log.company_id)
            .order_by()
            .values_list("day", flat=True)
        )
        changed |= {*_days_with_events(log), *counted_days.distinct()}
    elif newest != log.newest_id:
        changed |= set(_days_with_events(log, since=log.counted_at - MARGIN))
    return {
        day for day in changed if log.sealed_before is None or day >= log.sealed_before
    }


def _days_with_events(log: CountedLog, since: datetime = EARLIEST) -> Iterator[date]:
    """The days that have events, one query per day."""
    while True:
        oldest_first = ConversionEvent.objects.oldest_of(log.company_id)
        later = oldest_first.filter(pk__gte=first_id_since(log.company_id, since))
        recorded_at = later.values_list("created_at", flat=True).first()
        if recorded_at is None:
            return
        day = timezone.localdate(max(recorded_at, since))
        yield day
        since = start_of(day + timedelta(days=1))


@transaction.atomic
def _count(log: CountedLog, day: date, open_now: str) -> None:
    locked = CountedLog.objects.select_for_update().get(pk=log.pk)
    if locked.sealed_before is not None and day < locked.sealed_before:
        return
    DayCount.objects.for_company(log.company_id).filter(day=day).delete()
    DayCount.objects.bulk_create(_counts_of(log.company_id, day))
    locked.open_by_day.pop(day.isoformat(), None)
    if open_now:
        locked.open_by_day[day.isoformat()] = open_now
    locked.save(update_fields=["open_by_day"])


def _counts_of(company_id: int, day: date) -> Iterator[DayCount]:
    begin, end = start_of(day), start_of(day + timedelta(days=1))
    ids = Q(
        pk__gte=first_id_since(company_id, begin - MARGIN),
        pk__lt=first_id_since(company_id, end + MARGIN),
    )
    events = ConversionEvent.objects.for_company(company_id).counted()
    rows = (
        events.filter(ids, created_at__gte=begin, created_at__lt=end)
        .annotate(
            why=Case(
                When(state=State.PENDING, then=Value("")),
                default=F("reason"),
                output_field=CharField(),
            ),
            bucket=Case(
                When(
                    state=State.ACCEPTED,
                    settled_at__isnull=False,
                    then=bucket_between("created_at", "settled_at"),
                ),
                default=Value(0),
            ),
        )
        .order_by()
        .values_list("rule", "state", "why", "bucket")
        .annotate(Count("pk"))
    )
    for rule, state, why, bucket, count in rows:
        yield DayCount(
            company_id=company_id,
            rule_id=rule,
            day=day,
            state=state,
            reason=why,
            bucket=bucket,
            count=count,
        )


def _reset(log: CountedLog) -> None:
    """Delete all counts that are not sealed: the company's time zone has changed, and with it the days."""
    log.time_zone, log.counted_at, log.open_by_day = log.company.time_zone, None, {}
    counts = DayCount.objects.for_company(log.company_id)
    with transaction.atomic():
        (
            counts.filter(day__gte=log.sealed_before) if log.sealed_before else counts
        ).delete()
        log.save(update_fields=["time_zone", "counted_at", "open_by_day"])
