"""One turn of a company's lane: select what is due, send it, settle it, until nothing is left.

No network inside a transaction: select (short), send, settle (short).
"""

import logging
import math
import time
from datetime import timedelta

from django.db import transaction

from capi.delivery import backfill, lane, planning, recall, selection, settle, shutdown
from capi.delivery.lane import LaneSnapshot, Lease, LeaseLost
from capi.delivery.scheduling import BatchQueue
from capi.delivery.selection import Batch
from capi.delivery.sending import BatchSender, DeliveryResult
from capi.linkedin import failpoints
from capi.models import Connection, ConversionEvent
from capi.models.lookups import unpack_ids

logger = logging.getLogger(__name__)

# For a longer wait, the turn ends and the worker is free for other companies.
LONGEST_SLEEP_SECONDS = 1.0


def deliver(company_id: int, *, seconds: float = math.inf) -> DeliveryResult:
    """Send what is due for the company, for about `seconds`. Does nothing while another worker has the lane.

    Nor does it do anything once this worker is shutting down: the result then reports that there is more to do.
    """
    result = DeliveryResult()
    if shutdown.has_begun():
        result.more_in = 0.0
        return result
    until = time.monotonic() + seconds
    while (lease := lane.take_lease(company_id)) is not None:
        failpoints.reached("after_lease")
        try:
            _work(lease, result, until)
        except LeaseLost as lost:
            logger.warning("%s", lost)
            break
        finally:
            lane.release(lease)
        if result.is_held_back or result.more_in is not None:
            break
        # The wake-up of an event committed just before the release found the lane leased, and is spent: check again.
        if not lane.due_lanes().filter(company=company_id).exists():
            break
    return result


def _work(lease: Lease, result: DeliveryResult, until: float) -> None:
    queue = BatchQueue()
    while not shutdown.has_begun():
        snapshot = recall.read_lane(lease)
        if snapshot.is_held_back:
            result.is_held_back = True
            return
        _follow_up_interruption(lease, snapshot.connection)
        if snapshot.has_test:
            batch = selection.next_test(
                lease.company_id, recalls=snapshot.connection.recalls
            )
        elif _may_go_on(lease, snapshot, result, until):
            batch = queue.next_batch(snapshot)
        else:
            return
        if batch is None:
            if _may_find_more(lease, snapshot):
                continue
            return
        _send(batch, lease, result, snapshot, queue)
        # Most turns are one small batch. `deliver` checks after the release in any case whether more is due, and
        # reading the lane and its rules again before that would take a tenth of such a turn's CPU time.
        if batch.is_all and result.requests == 1 and not snapshot.has_backfill:
            return
    result.more_in = 0.0


def _may_find_more(lease: Lease, snapshot: LaneSnapshot) -> bool:
    """True if more may be due now: a backfill's next chunk, or what had to wait for a test that is gone."""
    return snapshot.has_test or (
        snapshot.has_backfill and backfill.plan_next_chunk(lease)
    )


def _send(
    batch: Batch,
    lease: Lease,
    result: DeliveryResult,
    snapshot: LaneSnapshot,
    queue: BatchQueue,
) -> None:
    if batch.unsendable:
        settle.close_unsendable(lease, batch.unsendable)
        result.states.update(
            {ending.state: len(rows) for ending, rows in batch.unsendable.items()}
        )
    if batch.sendable:
        BatchSender(lease, result, batch, snapshot, queue).run()


def _follow_up_interruption(lease: Lease, connection: Connection) -> None:
    """Treat a request that is still noted as one without a clear answer. Raises LeaseLost.

    The UPDATE that pays for a request also notes its events on the lane's row, and writing the result deletes the note.
    If a worker finds a note at the beginning of its turn, the one before died in the middle of the request, or could
    not write its result: LinkedIn may have these events, and no others. They stay queued and are sent again under their
    ids. However they end, they keep their keys.
    """
    if connection.request_started_at is None:
        return
    pks = unpack_ids(connection.request_events)
    with transaction.atomic():
        lane.renew(lease)  # which also deletes the note
        ConversionEvent.objects.filter(pk__one_of=pks, is_test=False).update(
            may_have_arrived=True
        )
        planning.tidy_after_recall(pks)


def _may_go_on(
    lease: Lease, snapshot: LaneSnapshot, result: DeliveryResult, until: float
) -> bool:
    """True if the lane may send ordinary events now. Sleeps first if the request budget requires a short wait.

    If the wait is longer, the lane rests instead, and the turn ends.
    """
    if not snapshot.may_send:
        return False
    if time.monotonic() >= until:
        result.more_in = 0.0
        return False
    wait_seconds = snapshot.wait_seconds
    if wait_seconds > LONGEST_SLEEP_SECONDS:
        lane.wait_until(lease, snapshot.now + timedelta(seconds=wait_seconds))
        result.more_in = wait_seconds
        return False
    time.sleep(wait_seconds)
    return True
