"""A company's lane: one worker at a time sends for it, at the rate that LinkedIn grants one token.

All times are the database's.
"""

import uuid
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from capi.linkedin import payload
from capi.models import Backfill, Connection, ConversionEvent, ConversionRule
from capi.models.choices import RestCause
from capi.models.lookups import NO_IDS, IdList, without


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send for one company. It is proved anew in every transaction that writes results."""

    connection_id: int
    company_id: int
    lease_id: uuid.UUID


class LeaseLost(Exception):
    """Another worker has taken the lane, because this one was silent for too long. Write nothing more."""


def take_lease(company_id: int) -> Lease | None:
    """The lane, unless somebody works on it. One counted UPDATE, so that of two workers one wins."""
    lease_id = uuid.uuid4()
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    connections = Connection.objects.for_company(company_id)
    if not connections.filter(free).update(lease_id=lease_id, leased_until=_lease_end()):
        return None
    return Lease(connections.values_list("pk", flat=True).get(), company_id, lease_id)


@dataclass(frozen=True, slots=True)
class LaneUpdate:
    """What an answer changes about the lane. As it stands by itself: the lane is awake, and nothing failed in a row."""

    next_attempt_at: datetime | None = None
    resting_since: datetime | None = None
    rest_cause: RestCause | str = ""
    failures_in_a_row: int = 0
    throttles_in_a_row: int = 0
    body_limit: int | None = None
    is_news: bool = False  # for those who tell people: a long rest begins or ends

    @property
    def columns(self) -> dict[str, Any]:
        """The columns and their values, for an UPDATE."""
        changes = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "is_news"}
        return changes | (LOOK_SOON if self.is_news else {})


def renew(lease: Lease, update: LaneUpdate | None = None) -> None:
    """Prove that the lease is ours and prolong it; `update` is written to the lane in the same UPDATE.

    Raises LeaseLost. Inside a transaction this is the fence: the row stays locked until the commit.
    """
    _renew(lease, update.columns if update is not None else {})


def wait_until(lease: Lease, moment: datetime) -> None:
    """Have nobody send for the company before this moment, to spare its purse. Raises LeaseLost."""
    _renew(lease, {"next_attempt_at": moment})


def _renew(lease: Lease, changes: dict[str, Any]) -> None:
    if not _held(lease).update(leased_until=_lease_end(), **(NO_REQUEST | changes)):
        raise LeaseLost(f"The lane of company {lease.company_id} is another worker's now.")


def release(lease: Lease) -> None:
    """Give the lane back, if it is still ours."""
    _held(lease).update(lease_id=None, leased_until=None, **NO_REQUEST)


@dataclass(frozen=True, slots=True)
class LaneSnapshot:
    """The lane as it is at this moment."""

    connection: Connection
    now: datetime
    has_test: bool  # a test event waits

    def after(self, milliseconds: int) -> "LaneSnapshot":
        """The same lane so much later: what has to be waited for counts from an answer, not from its request."""
        return replace(self, now=self.now + timedelta(milliseconds=milliseconds))

    @property
    def may_send(self) -> bool:
        """True if ordinary events may go: a token, no pause, no rest."""
        resting = self.connection.next_attempt_at is not None and self.connection.next_attempt_at > self.now
        return self.connection.is_sending and not resting

    @property
    def batch_size(self) -> int:
        """How many events to read for a request: fewer while it is known that so many are too large for LinkedIn."""
        limit = self.connection.body_limit
        return settings.BATCH_SIZE if limit is None else min(settings.BATCH_SIZE, payload.most_in(limit))

    @property
    def purse(self) -> float:
        """How many requests may be made at once, from a bucket that fills up within a minute."""
        full = float(settings.REQUESTS_PER_MINUTE)
        if self.connection.requests_left is None or self.connection.requests_counted_at is None:
            return full
        elapsed = max(0.0, (self.now - self.connection.requests_counted_at).total_seconds())
        return min(full, self.connection.requests_left + elapsed * full / 60)

    @property
    def wait_seconds(self) -> float:
        """How long to wait before the next request, so that a trickle of small ones never empties the purse."""
        seconds_per_request = 60 / settings.REQUESTS_PER_MINUTE
        if self.purse < 1:
            return (1 - self.purse) * seconds_per_request
        if self.purse >= settings.REQUESTS_PER_MINUTE / 2 or self.connection.requests_counted_at is None:
            return 0.0
        since_last = (self.now - self.connection.requests_counted_at).total_seconds()
        return max(0.0, seconds_per_request - since_last)


def read_lane(lease: Lease) -> LaneSnapshot:
    """Read the lane: token, pause, rest and purse may have changed since the last request."""
    tests = _tests().filter(company=lease.company_id)
    connection = Connection.objects.annotate(now=Now(), has_test=Exists(tests)).get(pk=lease.connection_id)
    return LaneSnapshot(connection, connection.now, connection.has_test)


def spend_request(lease: Lease, seen: LaneSnapshot, **unless_changed: Any) -> bool:
    """Take one request out of the purse, note that it begins, and prolong the lease. One counted UPDATE.

    False where the lease is lost, or the lane is no longer as `unless_changed` says.
    """
    return bool(
        _held(lease)
        .filter(**unless_changed)
        .update(
            leased_until=_lease_end(),
            requests_left=seen.purse - 1,
            requests_counted_at=seen.now,
            request_started_at=Now(),
        )
    )


def recalls_of(lease: Lease) -> int:
    """How often persons have been called back from this lane, as of now."""
    return Connection.objects.values_list("recalls", flat=True).get(pk=lease.connection_id)


def request_alert_check(company_id: int) -> None:
    """Have a pause, or the end of one, seen soon by whoever tells people (`capi.alerts.evaluate`)."""
    Connection.objects.for_company(company_id).update(**LOOK_SOON)


NO_REQUEST: dict[str, Any] = {"request_started_at": None}
LOOK_SOON: dict[str, Any] = {"next_look_at": None}


def due_lanes() -> QuerySet[Connection]:
    """The connections with something to send and nobody at it."""
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    rested = Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now())
    tests = Exists(_tests().filter(company=OuterRef("company")))
    sending = Q(is_paused=False) & ~Q(sealed_token="") & rested
    due = Exists(rules_with_due_events().filter(company=OuterRef("company")))
    past = Exists(Backfill.objects.ready().filter(company=OuterRef("company")))
    return Connection.objects.filter(free).filter(tests | (sending & (due | past))).order_by("pk")


def due_events(*, behind: IdList = NO_IDS, since: datetime | None = None) -> QuerySet[ConversionEvent]:
    """What may be sent now, but for those with the primary keys `behind`, and only if it became due `since` then."""
    due = ConversionEvent.objects.due().filter(is_test=False)
    return without(due.filter(next_attempt_at__gte=since) if since else due, behind)


def rules_with_due_events(*, behind: IdList = NO_IDS, since: datetime | None = None) -> QuerySet[ConversionRule]:
    """Rules that have something due, deleted ones too, with the time of the oldest as `oldest`.

    Asked per rule and not over the events, so that the 10,000 events of a paused rule are never read to find the one
    behind them.
    """
    events = due_events(behind=behind, since=since).filter(rule=OuterRef("pk")).order_by("next_attempt_at")
    rules = ConversionRule._base_manager.filter(is_paused=False)
    return rules.annotate(oldest=Subquery(events.values("next_attempt_at")[:1])).filter(oldest__isnull=False)


def _tests() -> QuerySet[ConversionEvent]:
    return ConversionEvent.objects.pending().filter(is_test=True)


def _held(lease: Lease) -> QuerySet[Connection]:
    return Connection.objects.filter(pk=lease.connection_id, lease_id=lease.lease_id)


def _lease_end() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)
