"""Recalls events that were read for sending: a request that begins after a recall sends what is true after it.

A batch is read first and paid for later, perhaps in several requests. In between, a person may be erased or opt out, a
change may be undone, an address corrected, a rule edited or deleted. So both sides write the connection's row:

- A recall locks the row, raises `recalls`, makes the change and commits. (A lead that opts out or gets another address
  does so right after its own commit, and before the call that saved it returns.)
- A sender pays by an UPDATE of the row, provided that `recalls` is what it was before the batch was read. If it isn't,
  the events are read again while the row is locked, and only those that may still be sent are sent.

So a request paid for after that commit does not contain the recalled people. One paid for before may be in flight: an
erasure waits for it, outside any transaction, before it returns. A request ends by its own clock after
SEND_TIMEOUT_SECONDS. One case can't be ruled out: the operating system suspends a process for longer than that, between
paying and sending, and then resumes it.
"""

import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from capi.delivery import lane, selection
from capi.delivery.lane import LaneSnapshot, Lease
from capi.delivery.selection import Sendable
from capi.models import Connection, ConversionRule
from capi.models.lookups import IdList, unpack_ids

FIRST_CHECK_SECONDS = 0.02
LONGEST_CHECK_SECONDS = 0.25
START_SECONDS = 2.0  # between paying for a request and the start of its clock


def spend_unless_recalled(
    lease: Lease, snapshot: LaneSnapshot, rule: ConversionRule, part: Sequence[Sendable], *, recalls: int
) -> Sequence[Sendable]:
    """Pay for a request with these events of the rule. `recalls` is the lane's, from before they were read.

    Returns the events to send, as they are now. Returns none, and pays nothing, if none may be sent, or if the token or
    the pause has changed since the snapshot: the events then stay due. Raises LeaseLost.
    """
    if lane.spend_request(lease, snapshot, _keys(part), recalls=recalls):
        return part
    with transaction.atomic():
        lane.renew(lease)  # locks the row until the commit, so that nothing is recalled meanwhile
        left = selection.read_again(rule, part, now=snapshot.now)
        return left if left and lane.spend_request(lease, snapshot, _keys(left)) else []


def _keys(part: Sequence[Sendable]) -> Iterator[int]:
    return (event.row.pk for event in part)


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
    connections = Connection.objects.filter(company__in=company_ids).order_by("pk").select_for_update(no_key=True)
    rows = list(connections.values_list("pk", "lease_id", "request_started_at", "request_events"))
    Connection.objects.filter(pk__in=[pk for pk, *_ in rows]).update(recalls=F("recalls") + 1)
    return [RequestInFlight(pk, lease, began, unpack_ids(packed)) for pk, lease, began, packed in rows if began]


def is_in(requests: Iterable[RequestInFlight]) -> Q:
    """True for an event that one of these requests contains."""
    found = Q(pk=None)
    for request in requests:
        found |= Q(pk__one_of=request.events)
    return found


def recall_on_commit(company_ids: Collection[int], *, using: str = "default") -> None:
    """As `recall_unsent`, but right after the commit: once for each company, however often this is called before it.

    It waits for the commit so that no transaction waits for a lead's row while it holds the lock of a connection.
    """
    for company_id in company_ids:
        recall = _Recall(company_id)
        if not any(entry[1] == recall for entry in connections[using].run_on_commit):
            transaction.on_commit(recall, using=using, robust=True)


@dataclass(frozen=True, slots=True)
class _Recall:
    company_id: int

    def __call__(self) -> None:
        # A free lane needs no recall: a worker that leases it later reads the changed data.
        leased = Connection.objects.filter(company=self.company_id, lease_id__isnull=False)
        leased.update(recalls=F("recalls") + 1)


def wait_on_commit(requests: Sequence[RequestInFlight]) -> None:
    """Make the caller's outermost `atomic` return only once these requests have ended."""
    if requests:
        transaction.on_commit(partial(wait_for, requests))


def wait_for(requests: Sequence[RequestInFlight]) -> None:
    """Wait until each request has its answer or has timed out."""
    for request in requests:
        pause = FIRST_CHECK_SECONDS
        while _is_in_flight(request):
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_CHECK_SECONDS)


def _is_in_flight(request: RequestInFlight) -> bool:
    # Compared here and not in the query: SQLite writes its own times in a different format from the one it compares.
    connection = Connection.objects.annotate(now=Now()).filter(pk=request.connection_id).first()
    if connection is None:
        return False
    is_the_same = (connection.lease_id, connection.request_started_at) == (request.lease_id, request.request_started_at)
    longest = timedelta(seconds=settings.SEND_TIMEOUT_SECONDS + START_SECONDS)
    return is_the_same and connection.now < request.request_started_at + longest
