"""What the database knows, as metrics. Labels have few values: no company, person or address is in any of them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import Error
from prometheus_client.core import (
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from capi.models.functions import database_now
from capi.selectors import metrics as of_conversions
from crm.selectors import metrics as of_crm
from leadmachine import database_connections, version
from postgresql.bounds import statements_may_take

# Prometheus waits for 10 seconds by default.
STATEMENT_SECONDS: Final = 2
# In seconds. The time to undo a change is 30 by default, and 10 minutes at most.
ACCEPTANCE: Final = (5, 15, 30, 35, 45, 60, 120, 300, 600, 900, 3600)


def collect() -> list[Metric]:
    """Return all figures, or those that need no database if it doesn't answer in time."""
    info = InfoMetricFamily("leadmachine", "The version.", {"version": version.VERSION})
    try:
        with statements_may_take(STATEMENT_SECONDS):
            found = [*_of_database()]
    except Error:
        return [info, _database_up(False)]
    return [info, _database_up(True), *found]


def _database_up(is_up: bool) -> Metric:
    text = "1 if the database has answered this scrape in time."
    return GaugeMetricFamily("leadmachine_database_up", text, float(is_up))


def _of_database() -> Iterator[Metric]:
    now = database_now()
    yield from _events(now)
    yield from _lanes()
    yield from _jobs(now)
    yield from _mails(now)
    yield from _connections()
    yield from _loops(now)


def _events(now: datetime) -> Iterator[Metric]:
    yield _gauge(
        "leadmachine_recent_events",
        "Events recorded in the last hour, the newest 10,000 at most, by state and reason.",
        ("state", "reason"),
        of_conversions.recent_events(),
    )
    yield _gauge(
        "leadmachine_recent_attempts",
        "Requests to LinkedIn in the last hour, the newest 10,000 at most, by HTTP status; none: no answer.",
        ("status",),
        {(status,): n for status, n in of_conversions.recent_attempts().items()},
    )
    yield _acceptance()
    yield _number(
        "leadmachine_pending_events",
        "Events in the queue, on hold or not; 100,000 stands for any more.",
        of_conversions.pending_events(),
    )
    yield _number(
        "leadmachine_queue_age_seconds",
        "For how long the oldest event has been due in a lane that may send.",
        _age(of_conversions.oldest_due(), now),
    )


def _acceptance() -> Metric:
    durations = of_conversions.acceptance(ACCEPTANCE)
    buckets: list[tuple[str, float]] = []
    count = 0
    for bound, n in zip((*ACCEPTANCE, "+Inf"), durations.counts, strict=True):
        count += n
        buckets.append((str(bound), count))
    return GaugeHistogramMetricFamily(
        "leadmachine_acceptance_seconds",
        "From a change until LinkedIn accepted its event, of events recorded in the last hour.",
        buckets=buckets,
        gsum_value=durations.total_seconds,
    )


def _lanes() -> Iterator[Metric]:
    yield _gauge(
        "leadmachine_lanes",
        "Companies' lanes by state: held_back, no_token, paused, resting, sending or idle; if paused or resting, why.",
        ("state", "reason"),
        of_conversions.lanes(),
    )
    yield _number(
        "leadmachine_lapsed_leases",
        "Lanes whose worker has vanished, and which no other worker has taken yet.",
        of_conversions.lapsed_leases(),
    )


def _jobs(now: datetime) -> Iterator[Metric]:
    jobs = of_crm.jobs_at_work()
    yield _gauge(
        "leadmachine_jobs",
        "Imports, exports, bulk changes and backfills that are not finished, by kind and state.",
        ("kind", "state"),
        {(job.kind, job.state): job.count for job in jobs},
    )
    yield _gauge(
        "leadmachine_job_age_seconds",
        "For how long the oldest of them has been there.",
        ("kind", "state"),
        {(job.kind, job.state): _age(job.oldest, now) for job in jobs},
    )


def _mails(now: datetime) -> Iterator[Metric]:
    mails = {"account": of_crm.mails_due(), "alert": of_conversions.mails_due()}
    yield _gauge(
        "leadmachine_mails",
        "Mails that are still to be sent: about accounts and tasks, or about alerts.",
        ("kind",),
        {(kind,): count for kind, (count, _) in mails.items()},
    )
    yield _gauge(
        "leadmachine_mail_age_seconds",
        "How long ago the oldest of them was written.",
        ("kind",),
        {(kind,): _age(oldest, now) for kind, (_, oldest) in mails.items()},
    )


def _connections() -> Iterator[Metric]:
    room = database_connections.read_room()
    yield _number(
        "leadmachine_database_connections",
        "Connections to PostgreSQL that are in use, by LeadMachine and others.",
        room.in_use,
    )
    yield _number(
        "leadmachine_database_connections_limit",
        "How many connections PostgreSQL accepts from LeadMachine.",
        room.limit,
    )


def _loops(now: datetime) -> Iterator[Metric]:
    beats = of_conversions.beats()
    yield _gauge(
        "leadmachine_beat_age_seconds",
        "How long ago a worker last finished a round of each timer.",
        ("timer",),
        {(timer,): _age(beat, now) for timer, beat in beats.items()},
    )
    yield _number(
        "leadmachine_housekeeping_age_seconds",
        "How long ago the daily housekeeping was last done.",
        _age(of_conversions.last_housekeeping(), now),
    )
    last_backup = of_conversions.last_backup()
    yield _gauge(
        "leadmachine_backup_age_seconds",
        "How long ago manage.py backup last completed one; absent if it never has.",
        (),
        {(): _age(last_backup, now)} if last_backup else {},
    )
    last_rehearsal = of_conversions.last_rehearsal()
    yield _gauge(
        "leadmachine_rehearsal_age_seconds",
        "How long ago a backup was last restored by manage.py upgrade --rehearse; absent if it never was.",
        (),
        {(): _age(last_rehearsal, now)} if last_rehearsal else {},
    )


def _number(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _gauge(
    name: str,
    text: str,
    labels: tuple[str, ...],
    numbers: Mapping[Any, float],
) -> Metric:
    """Return the numbers by the values of these labels, a tuple each."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in numbers.items():
        family.add_metric(values, number)
    return family


def _age(since: datetime | None, now: datetime) -> float:
    """Return the seconds since then; 0 if there is nothing, or if it is a moment ago by another clock."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0
