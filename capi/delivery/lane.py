"""A company's lane: one worker at a time sends for it, at the rate that LinkedIn grants one token.

All times are the database's.
"""

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from capi.linkedin import payload
from capi.models import Backfill, Connection, ConversionEvent, ConversionRule, Recall
from capi.models.choices import RestCause
from capi.models.connection import IS_HELD_BACK, SENDS_FROM_HERE
from capi.models.lookups import NO_IDS, IdList, pack_ids

NO_CHANGES: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send for one company. It is checked again in every transaction that writes results."""

    company_id: int
    lease_id: uuid.UUID


class LeaseLost(Exception):
    """Another worker has taken the lane, because this one was silent for too long. Write nothing more."""


def take_lease(company_id: int) -> Lease | None:
    """Lease the lane, or return None while another worker has it. It is one UPDATE, so only one worker can win.

    If a request is still noted on the lane, its worker is gone and its result is unknown: see `deliver`.
    """
    lease = Lease(company_id, uuid.uuid4())
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    lane = Connection.objects.for_company(company_id).filter(free)
    if lane.update(lease_id=lease.lease_id, leased_until=_lease_end()):
        return lease
    return None


@dataclass(frozen=True, slots=True)
class LaneUpdate:
    """What an answer changes about the lane. By default the lane is awake, and no failures are counted."""

    next_attempt_at: datetime | None = None
    resting_since: datetime | None = None
    rest_cause: RestCause | str = ""
    failures_in_a_row: int = 0
    throttles_in_a_row: int = 0
    body_limit: int | None = None
    needs_alert_check: bool = False  # a long rest begins or ends

    @property
    def columns(self) -> dict[str, Any]:
        """The columns and their values, for an UPDATE."""
        changes = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "needs_alert_check"
        }
        return changes | (CHECK_ALERTS if self.needs_alert_check else {})


def held(lease: Lease) -> QuerySet[Connection]:
    """The lane, if the lease is still ours."""
    return Connection.objects.filter(company=lease.company_id, lease_id=lease.lease_id)


def lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"Another worker has taken the lane of company {lease.company_id}."
    )


def renew(lease: Lease, changes: Mapping[str, Any] = NO_CHANGES) -> None:
    """Check that the lease is still ours, extend it, and make these changes to the lane. Raises LeaseLost.

    Inside a transaction this is the fence: the row stays locked until the commit.
    """
    if not _extend(held(lease), changes):
        raise lost(lease)


def renew_unless_recalled(
    lease: Lease, *, recalls: int, changes: Mapping[str, Any] = NO_CHANGES
) -> bool:
    """As `renew`. Changes nothing and returns False if `recalls` is another one by now, or if the lease is lost."""
    return _extend(held(lease).filter(recalls=recalls), changes)


def _extend(rows: QuerySet[Connection], changes: Mapping[str, Any]) -> bool:
    return bool(
        rows.update(
            leased_until=_lease_end(),
            **{"request_started_at": None, "request_events": None, **changes},
        )
    )


def wait_until(lease: Lease, moment: datetime) -> None:
    """Let no worker send for the company before this moment, to save its request budget. Raises LeaseLost."""
    renew(lease, {"next_attempt_at": moment})


def release(lease: Lease) -> None:
    """Release the lease, if it is still ours. A request whose result could not be written stays noted."""
    held(lease).update(lease_id=None, leased_until=None)


@dataclass(frozen=True, slots=True)
class LaneSnapshot:
    """The lane at the moment `now`."""

    connection: Connection
    now: datetime
    has_test: bool  # a test event is pending
    has_backfill: bool  # a backfill is ready for its next chunk
    has_noted_recalls: bool  # which `recalls` does not count yet: see `recall`
    is_held_back: bool  # nothing may be sent from this database, not even a test event
    # By time.monotonic(), just before `now` was queried: a rest may be too long, but
    # never too short.
    read_at: float

    def at_present(self) -> "LaneSnapshot":
        """The same lane with `now` brought forward, without a query. Rests count from the answer, not the request."""
        read_at = time.monotonic()
        return replace(
            self,
            now=self.now + timedelta(seconds=read_at - self.read_at),
            read_at=read_at,
        )

    @property
    def may_send(self) -> bool:
        """True if ordinary events may be sent: there is a token, and the lane is neither paused nor resting."""
        resting = (
            self.connection.next_attempt_at is not None
            and self.connection.next_attempt_at > self.now
        )
        return self.connection.is_sending and not resting

    @property
    def batch_size(self) -> int:
        """How many events to read for a request: fewer while a full batch is known to be too large for LinkedIn."""
        limit = self.connection.body_limit
        if limit is None:
            return settings.BATCH_SIZE
        return min(settings.BATCH_SIZE, payload.most_in(limit))

    @property
    def request_budget(self) -> float:
        """How many requests may be made right now, from a bucket that refills within a minute."""
        full = float(settings.REQUESTS_PER_MINUTE)
        if (
            self.connection.requests_left is None
            or self.connection.requests_counted_at is None
        ):
            return full
        elapsed = max(
            0.0, (self.now - self.connection.requests_counted_at).total_seconds()
        )
        return min(full, self.connection.requests_left + elapsed * full / 60)

    @property
    def wait_seconds(self) -> float:
        """How long to wait before the next request, so that a trickle of small ones never empties the budget."""
        budget, seconds_per_request = (
            self.request_budget,
            60 / settings.REQUESTS_PER_MINUTE,
        )
        if budget < 1:
            return (1 - budget) * seconds_per_request
        if (
            budget >= settings.REQUESTS_PER_MINUTE / 2
            or self.connection.requests_counted_at is None
        ):
            return 0.0
        since_last = (self.now - self.connection.requests_counted_at).total_seconds()
        return max(0.0, seconds_per_request - since_last)


def read_lane(lease: Lease) -> LaneSnapshot:
    """Read the lane: token, pause, rest and budget may have changed since the last request."""
    read_at = time.monotonic()
    # Whether events are due is not queried: with 100,000 due it takes 8 to 40 ms, and `next_batch` finds out anyway.
    has_test = Exists(_tests().filter(company=lease.company_id))
    has_backfill = Exists(Backfill.objects.ready().filter(company=lease.company_id))
    noted = Exists(Recall.objects.filter(company=lease.company_id))
    connections = Connection.objects.annotate(
        now=Now(),
        has_test=has_test,
        has_backfill=has_backfill,
        noted=noted,
        is_held_back=IS_HELD_BACK,
    )
    row = connections.get(company=lease.company_id)
    return LaneSnapshot(
        row,
        row.now,
        row.has_test,
        row.has_backfill,
        row.noted,
        row.is_held_back,
        read_at,
    )


def spend_request(
    lease: Lease, snapshot: LaneSnapshot, pks: Iterable[int], **unless_changed: Any
) -> bool:
    """Take one request from the budget, note its start and its events, and extend the lease, in one UPDATE.

    Returns False if the lease is lost, the token or the pause has changed since the snapshot, or the lane no longer
    matches `unless_changed`. So it is safe to use a snapshot that was read before the batch. Also False while nothing
    may be sent from this database: it may have been restored since.
    """
    unchanged = {
        name: getattr(snapshot.connection, name)
        for name in ("token_version", "is_paused")
    } | unless_changed
    return bool(
        held(lease)
        .filter(SENDS_FROM_HERE, **unchanged)
        .update(
            leased_until=_lease_end(),
            requests_left=snapshot.request_budget - 1,
            requests_counted_at=snapshot.now,
            request_started_at=Now(),
            request_events=pack_ids(pks),
        )
    )


def request_alert_check(company_id: int) -> None:
    """Request a check for alerts soon (`capi.alerts.evaluate`), after a pause or its end."""
    Connection.objects.for_company(company_id).update(**CHECK_ALERTS)


CHECK_ALERTS: dict[str, Any] = {"next_look_at": None}


def may_send_now() -> Q:
    """True for lanes with a token that are neither paused nor resting, whether or not a worker has them."""
    rested = Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now())
    return Q(is_paused=False) & ~Q(sealed_token="") & rested


def due_lanes() -> QuerySet[Connection]:
    """The connections that have something to send, or a request to follow up (`deliver`), and no worker."""
    company = OuterRef("company")
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    has_test = Exists(_tests().filter(company=company))
    has_due = Exists(rules_with_due_events().filter(company=company))
    has_backfill = Exists(Backfill.objects.ready().filter(company=company))
    has_work = (
        Q(request_started_at__isnull=False)
        | has_test
        | (may_send_now() & (has_due | has_backfill))
    )
    return Connection.objects.filter(free).filter(has_work).order_by("pk")


def are_any_leased() -> bool:
    """True while some worker sends for some company."""
    return Connection.objects.filter(leased_until__gte=Now()).exists()


def due_events(
    *, behind: IdList = NO_IDS, since: datetime | None = None
) -> QuerySet[ConversionEvent]:
    """Events that may be sent now, without those whose primary keys are in `behind`.

    With `since`, only those that have become due since then.
    """
    due = ConversionEvent.objects.due().filter(is_test=False)
    if since is not None:
        due = due.filter(next_attempt_at__gte=since)
    if behind.count:
        due = due.exclude(pk__one_of=behind)
    return due


def rules_with_due_events() -> QuerySet[Any]:
    """Rules that have due events, deleted rules included: `rules_by_age` without the others."""
    return rules_by_age().filter(oldest__isnull=False)


def rules_by_age(
    *, behind: IdList = NO_IDS, since: datetime | None = None
) -> QuerySet[Any]:
    """The rules that aren't paused, deleted rules included. The one that has had a due event for longest comes first.

    `oldest` is when the first due event of a rule became due. It is None without any: such rules are not left out here,
    because a filter by `oldest` would look it up a second time.

    Queried per rule and not over the events, so that the 10,000 events of a paused rule are never read to find the one
    behind them.
    """
    events = (
        due_events(behind=behind, since=since)
        .filter(rule=OuterRef("pk"))
        .order_by("next_attempt_at")
    )
    rules = ConversionRule._base_manager.filter(is_paused=False)
    annotated = rules.annotate(oldest=Subquery(events.values("next_attempt_at")[:1]))
    return annotated.order_by(F("oldest").asc(nulls_last=True))


def _tests() -> QuerySet[ConversionEvent]:
    return ConversionEvent.objects.pending().filter(is_test=True)


def _lease_end() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)
