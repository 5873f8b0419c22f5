"""Recalls events that were read for sending: a request that begins after a recall sends what is true after it.

A batch is read first and paid for later, perhaps in several requests. In between, a person may be erased or opt out, a
change may be undone, an address corrected, a rule edited or deleted. Each of these raises the lane's `recalls` in the
transaction of the change:

- `recall_unsent` locks the connection's row and raises it, and returns the requests in flight.
- `note_recall` is for transactions that may still wait for a lead's row: with the connection's row locked, they could
  deadlock with those that lock it after the lead's. It adds a row (`Recall`), and the lane's worker raises `recalls`.

A sender pays in a transaction that locks the row. If `recalls` is not what it was before the batch was read, or a
`Recall` is there, the events are read again, and only those that may still be sent are sent.

So a request whose events were checked after that commit does not contain the recalled people. One that was checked
before may be in flight: an erasure waits for it, outside any transaction, before it returns. A request ends by its own
clock after SEND_TIMEOUT_SECONDS. One case can't be ruled out: the operating system suspends a process for longer than
that, between paying and sending, and then resumes it.
"""

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import Error, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from capi.delivery import lane, selection
from capi.delivery.lane import NO_CHANGES, LaneSnapshot, Lease
from capi.delivery.selection import Sendable
from capi.models import Connection, ConversionRule, Recall
from capi.models.lookups import IdList, unpack_ids

START_SECONDS = 2.0  # between paying for a request and the start of its clock


@transaction.atomic
def spend_unless_recalled(
    lease: Lease,
    snapshot: LaneSnapshot,
    rule: ConversionRule,
    part: Sequence[Sendable],
    *,
    recalls: int,
) -> Sequence[Sendable]:
    """Pay for a request with these events of the rule. `recalls` is the lane's, from before they were read.

    Returns the events to send, as they are now. Returns none if none may be sent, or if the token or the pause has
    changed since the snapshot: the events then stay due. Raises LeaseLost.
    """
    is_paid = lane.spend_request(
        lease, snapshot, (event.row.pk for event in part), recalls=recalls
    )
    if is_paid and not _are_any_noted(lease):
        return part
    lane.renew(lease)
    left = selection.read_again(rule, part, now=snapshot.now)
    if left and lane.spend_request(lease, snapshot, (event.row.pk for event in left)):
        return left
    return []


def renew_and_compare(
    lease: Lease, *, recalls: int, changes: Mapping[str, Any] = NO_CHANGES
) -> bool:
    """As `lane.renew`. Returns False if anything has been recalled since the lane's `recalls` had this value.

    Call it inside a transaction: the row stays locked until the commit.
    """
    unchanged = lane.renew_unless_recalled(lease, recalls=recalls, changes=changes)
    if not unchanged:
        lane.renew(lease, changes)
    return unchanged and not _are_any_noted(lease)


def read_lane(lease: Lease) -> LaneSnapshot:
    """As `lane.read_lane`. Counts the recalls noted so far first: what is read from now on need not be read again."""
    snapshot = lane.read_lane(lease)
    if not snapshot.has_noted_recalls:
        return snapshot
    _count_noted(lease)
    return lane.read_lane(lease)


def _are_any_noted(lease: Lease) -> bool:
    """True if recalls were noted, which are then counted. Call it with the lane's row locked.

    It is no condition of the UPDATE that locks the row: while that waits, recalls may be committed that it doesn't see.
    """
    are_any = Recall.objects.for_company(lease.company_id).exists()
    if are_any:
        _count_noted(lease)
    return are_any


@transaction.atomic
def _count_noted(lease: Lease) -> None:
    """Add the recalls that were noted to the lane's `recalls`. Raises LeaseLost."""
    # First: only the worker of the lane may delete the notes.
    if not lane.held(lease).update(recalls=F("recalls") + 1):
        raise lane.lost(lease)
    Recall.objects.for_company(lease.company_id).delete()


@dataclass(frozen=True, slots=True)
class RequestInFlight:
    """A request that had begun before a recall, and whose result has not been written. It may never be."""

    connection_id: int
    lease_id: uuid.UUID | None  # None: its worker could not write the result
    request_started_at: datetime
    events: IdList


@transaction.atomic
def recall_unsent(company_ids: Collection[int]) -> list[RequestInFlight]:
    """Make senders check again every event that they have read. Returns the requests in flight.

    Inside the transaction of a change, call it before any event is written: writing a result also locks the connection
    first and then the events.
    """
    connections = (
        Connection.objects.filter(company__in=company_ids)
        .order_by("pk")
        .select_for_update(no_key=True)
    )
    rows = list(
        connections.values_list(
            "pk", "lease_id", "request_started_at", "request_events"
        )
    )
    Connection.objects.filter(pk__in=[pk for pk, *_ in rows]).update(
        recalls=F("recalls") + 1
    )
    return [
        RequestInFlight(pk, lease, began, unpack_ids(packed))
        for pk, lease, began, packed in rows
        if began
    ]


def note_recall(company_ids: Collection[int], *, using: str = "default") -> None:
    """As `recall_unsent`, but locks nothing, and returns nothing. Call it inside the transaction of the change.

    For every company: whether one has a worker, or even a connection, may change before the commit.
    """
    Recall.objects.using(using).bulk_create(
        Recall(company_id=company_id) for company_id in company_ids
    )


def is_in(requests: Iterable[RequestInFlight]) -> Q:
    """True for an event that one of these requests contains."""
    found = Q(pk=None)
    for request in requests:
        found |= Q(pk__one_of=request.events)
    return found


def wait_on_commit(requests: Sequence[RequestInFlight]) -> None:
    """Make the caller's outermost `atomic` return only once these requests have ended."""
    if requests:
        transaction.on_commit(lambda: wait_for(requests), robust=True)


def wait_for(requests: Sequence[RequestInFlight]) -> None:
    """Wait until each request has its answer or has timed out. Without a database, until each must have timed out."""
    longest = settings.SEND_TIMEOUT_SECONDS + START_SECONDS
    until = time.monotonic() + longest  # they had begun before this
    for request in requests:
        pause = 0.02
        while time.monotonic() < until and _is_in_flight(
            request, timedelta(seconds=longest)
        ):
            time.sleep(pause)
            pause = min(2 * pause, 0.25)


def _is_in_flight(request: RequestInFlight, longest: timedelta) -> bool:
    try:
        connection = (
            Connection.objects.annotate(now=Now())
            .filter(pk=request.connection_id)
            .first()
        )
    except Error:
        return True  # as far as we know
    if connection is None:
        return False
    is_the_same = (connection.lease_id, connection.request_started_at) == (
        request.lease_id,
        request.request_started_at,
    )
    return is_the_same and connection.now < request.request_started_at + longest
