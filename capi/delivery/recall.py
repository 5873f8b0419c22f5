"""Calling persons back: from a moment on, no request that begins may hold somebody who was erased or opted out.

A batch is read first and paid for later, so a person may go in between. Both sides meet at the connection's row:

- Whoever calls back locks it, raises `recalls`, makes the change and commits. (An opt-out does so right after its own
  commit, and before the call that saved it returns.)
- Whoever sends pays by writing to it, on condition that `recalls` stands where it stood before the batch was read.
  Where it does not, the part is looked at again while the row is locked, and only who is left goes out.

So a request that is paid for after that commit is without them. One that was paid for before may be under way: it is
waited for, outside of every transaction, before an erasure is said to be done. A request ends by its own clock after
SEND_TIMEOUT_SECONDS. What this can't rule out is a process that the operating system stops for longer than that,
between paying and sending, and then lets go on.
"""

import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from capi.delivery import lane
from capi.delivery.lane import LaneSnapshot, Lease
from capi.delivery.planning_sql import beside
from capi.delivery.selection import Sendable
from capi.models import Connection, ConversionEvent

FIRST_LOOK_SECONDS = 0.02
LONGEST_LOOK_SECONDS = 0.25
GRACE_SECONDS = 2.0  # between paying for a request and the start of its own clock


def spend_request(lease: Lease, seen: LaneSnapshot, part: Sequence[Sendable], *, recalls: int) -> Sequence[Sendable]:
    """Pay for a request with these events, read when the lane's `recalls` was this. Returns those that may go.

    Nothing is paid where none may. Raises LeaseLost.
    """
    if lane.spend_request(lease, seen, recalls=recalls):
        return part
    with transaction.atomic():
        lane.renew(lease)  # from here to the commit the row is locked, and nobody is called back
        left = _still_sendable(part)
        if left:
            lane.spend_request(lease, seen)
    return left


@dataclass(frozen=True, slots=True)
class RequestInFlight:
    """A request that had begun when somebody was called back."""

    connection_id: int
    lease_id: uuid.UUID
    request_started_at: datetime


@transaction.atomic
def call_back(company_ids: Collection[int]) -> list[RequestInFlight]:
    """Have all that is read for sending looked at again. Returns the requests that have begun.

    Inside the transaction of a change, call it before any event is touched: those who write results lock the
    connection first and then the events, too.
    """
    connections = Connection.objects.filter(company__in=company_ids).order_by("pk").select_for_update(no_key=True)
    rows = list(connections.values_list("pk", "lease_id", "request_started_at"))
    Connection.objects.filter(pk__in=[pk for pk, _, _ in rows]).update(recalls=F("recalls") + 1)
    return [RequestInFlight(pk, lease_id, began) for pk, lease_id, began in rows if lease_id and began]


def wait_on_commit(requests: Sequence[RequestInFlight]) -> None:
    """Let the caller's outermost `atomic` return only when these requests have ended."""
    if requests:
        transaction.on_commit(partial(wait_for, requests))


def wait_for(requests: Sequence[RequestInFlight]) -> None:
    """Wait until each has had its answer or its time."""
    for request in requests:
        pause = FIRST_LOOK_SECONDS
        while _goes_on(request):
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_SECONDS)


def _goes_on(request: RequestInFlight) -> bool:
    # Compared here and not in the query: SQLite writes its own moments in another format than it is asked for.
    connection = Connection.objects.annotate(now=Now()).filter(pk=request.connection_id).first()
    if connection is None:
        return False
    is_the_same = (connection.lease_id, connection.request_started_at) == (request.lease_id, request.request_started_at)
    longest = timedelta(seconds=settings.SEND_TIMEOUT_SECONDS + GRACE_SECONDS)
    return is_the_same and connection.now < request.request_started_at + longest


def _still_sendable(part: Sequence[Sendable]) -> list[Sendable]:
    pending = ConversionEvent.objects.pending().filter(pk__in=[event.row.pk for event in part])
    shares = beside("lead", "share_with_ad_platforms")
    sendable = pending.alias(shares=shares).filter(Q(shares=True) | Q(is_test=True))
    left = set(sendable.values_list("pk", flat=True))
    return [event for event in part if event.row.pk in left]
