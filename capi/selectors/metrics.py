"""The figures of all conversions for /metrics: counts and times, without companies or people.

A scrape comes every few seconds, so each statement reads few rows, however long the log is.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    Min,
    OuterRef,
    Value,
    When,
)
from django.db.models.functions import Now

from capi.delivery import lane
from capi.models import (
    BACKUP,
    REHEARSAL,
    Attempt,
    Connection,
    ConversionEvent,
    Heartbeat,
    Housekeeping,
    Mail,
)
from capi.models.choices import RestCause, State
from capi.models.connection import SENDS_FROM_HERE

# Of the log: the newest rows, of which those of the last hour count. Rows are written in time order, and there is no
# index on the time, which would slow down every insert.
NEWEST: Final = 10_000
# A longer queue is counted up to here, so that a scrape stays quick.
MOST_COUNTED: Final = 100_000

RECENT_EVENTS: Final = """
    SELECT state, reason, count(*)
    FROM (
        SELECT state, reason, is_test, created_at FROM capi_conversionevent ORDER BY id DESC LIMIT %s
    ) AS newest
    WHERE NOT is_test AND created_at > now() - interval '1 hour'
    GROUP BY state, reason
"""
ACCEPTED: Final = """
    SELECT width_bucket(seconds, %s), count(*), sum(seconds)
    FROM (
        SELECT extract(epoch FROM settled_at - created_at)::float AS seconds
        FROM (
            SELECT state, is_test, created_at, settled_at FROM capi_conversionevent ORDER BY id DESC LIMIT %s
        ) AS newest
        WHERE NOT is_test AND state = 'accepted' AND created_at > now() - interval '1 hour'
    ) AS accepted
    GROUP BY 1
"""
RECENT_ATTEMPTS: Final = """
    SELECT coalesce(http_status::text, 'none'), count(*)
    FROM (
        SELECT http_status, started_at FROM capi_attempt ORDER BY id DESC LIMIT %s
    ) AS newest
    WHERE started_at > now() - interval '1 hour'
    GROUP BY 1
"""
PENDING: Final = """
    SELECT count(*)
    FROM (
        SELECT 1 FROM capi_conversionevent WHERE state = 'pending' LIMIT %s
    ) AS pending
"""


def recent_events() -> dict[tuple[str, str], int]:
    """Return how many of the events recorded in the last hour have each state and reason."""
    return {(state, reason): n for state, reason, n in _rows(RECENT_EVENTS, NEWEST)}


@dataclass(frozen=True, slots=True)
class Durations:
    """`counts` has one number for each of the bounds, in seconds, and one for those above the last."""

    counts: Sequence[int]
    total_seconds: float


def acceptance(bounds: Sequence[float]) -> Durations:
    """Return how long the events recorded in the last hour took, from their change until LinkedIn accepted them."""
    rows = _rows(ACCEPTED, list(bounds), NEWEST)
    by_bucket = Counter({bucket: count for bucket, count, _ in rows})
    return Durations(
        counts=[by_bucket[bucket] for bucket in range(len(bounds) + 1)],
        total_seconds=sum(seconds for _, _, seconds in rows),
    )


def recent_attempts() -> dict[str, int]:
    """Return how many of the requests of the last hour got each HTTP status; "none" for those without an answer."""
    return dict(_rows(RECENT_ATTEMPTS, NEWEST))


def has_sent_since(moment: datetime) -> bool:
    """Return whether one of the newest hundred requests has begun since then, and succeeded."""
    newest = Attempt.objects.order_by("-pk").values_list("started_at", "http_status")
    return any(at >= moment and status in (200, 201) for at, status in newest[:100])


def troubles_since(moment: datetime) -> set[str]:
    """Return why lanes with events to send have not had a single success since before then: `RestCause` values.

    Only what is wrong at LinkedIn or on the way to it.
    """
    pending = ConversionEvent.objects.filter(
        company=OuterRef("company"), state=State.PENDING
    )
    troubled = Connection.objects.filter(
        Exists(pending),
        rest_cause__in=(RestCause.TROUBLE, RestCause.UNCLEAR),
        resting_since__lt=moment,
    )
    return set(troubled.order_by().values_list("rest_cause", flat=True).distinct())


def pending_events() -> int:
    """Return how many events are pending, up to MOST_COUNTED."""
    [(count,)] = _rows(PENDING, MOST_COUNTED)
    return int(count)


def oldest_due() -> datetime | None:
    """Return since when the oldest event has been due in a lane that may send; None if there is none."""
    awake = Connection.objects.filter(SENDS_FROM_HERE, lane.may_send_now())
    due = lane.rules_with_due_events().filter(company__in=awake.values("company"))
    found: dict[str, datetime | None] = due.order_by().aggregate(first=Min("oldest"))
    return found["first"]


def lanes() -> dict[tuple[str, str], int]:
    """Return how many lanes are in each state, and why: the reason of a pause, or the cause of a rest."""
    state = Case(
        When(~SENDS_FROM_HERE, then=Value("held_back")),
        When(sealed_token="", then=Value("no_token")),
        When(is_paused=True, then=Value("paused")),
        When(next_attempt_at__gt=Now(), then=Value("resting")),
        When(leased_until__gt=Now(), then=Value("sending")),
        default=Value("idle"),
        output_field=CharField(),
    )
    why = Case(
        When(state="paused", then=F("paused_reason")),
        When(state="resting", then=F("rest_cause")),
        default=Value(""),
        output_field=CharField(),
    )
    rows = Connection.objects.annotate(state=state).annotate(why=why).order_by()
    counts = rows.values_list("state", "why").annotate(count=Count("pk"))
    return {(state, why): count for state, why, count in counts}


def lapsed_leases() -> int:
    """Return how many lanes have a lease that has ended without being released: the worker is gone."""
    lapsed = Connection.objects.filter(lease_id__isnull=False, leased_until__lt=Now())
    return lapsed.count()


def mails_due() -> tuple[int, datetime | None]:
    """Return how many mails about alerts are to be sent, and when the oldest was written."""
    due = Mail.objects.filter(due_at__isnull=False)
    found = due.aggregate(count=Count("pk"), oldest=Min("created_at"))
    return found["count"], found["oldest"]


def beats() -> dict[str, datetime]:
    """Return when any worker last finished a round of each timer, by the name of the timer."""
    timers = Heartbeat.objects.exclude(name__in=(BACKUP, REHEARSAL))
    return dict(timers.values_list("name", "beat_at"))


def last_backup() -> datetime | None:
    """Return when the last backup was completed; None if there has been none."""
    return Heartbeat.objects.last_of(BACKUP)


def last_rehearsal() -> datetime | None:
    """Return when a backup was last restored into a copy and upgraded there; None if never."""
    return Heartbeat.objects.last_of(REHEARSAL)


def last_housekeeping() -> datetime | None:
    """Return when the daily housekeeping was last done; None before the first worker has started."""
    return Housekeeping.objects.values_list("done_at", flat=True).first()


def _rows(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[Any] = cursor.fetchall()
    return rows
