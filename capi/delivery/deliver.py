"""One turn of a company's lane: take what is due, send it, write what came of it, until nothing is left.

No network inside a transaction: take (short), send, settle (short).
"""

import logging
import math
import time
from dataclasses import replace
from datetime import timedelta

from capi.delivery import backfill, lane, selection, settle, shutdown
from capi.delivery.lane import LaneSnapshot, Lease, LeaseLost
from capi.delivery.scheduling import BatchQueue, ReadAhead
from capi.delivery.sending import BatchSender, DeliveryResult, fitting_events
from capi.linkedin import failpoints

logger = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 1.0  # for a longer wait the worker is given back


def deliver(company_id: int, *, seconds: float = math.inf) -> DeliveryResult:
    """Send what is due for the company, for about `seconds`. Does nothing while another worker is at it.

    Nor once this worker is to end: then there is more to do, for another.
    """
    turn = DeliveryResult()
    if shutdown.has_begun():
        turn.more_in = 0.0
        return turn
    until = time.monotonic() + seconds
    while (lease := lane.take_lease(company_id)) is not None:
        failpoints.reached("after_lease")
        try:
            _work(lease, turn, until)
        except LeaseLost as lost:
            logger.warning("%s", lost)
            break
        finally:
            lane.release(lease)
        # What was committed while we let go found the lane taken, and its wake-up is spent: look once more.
        if turn.more_in is not None or not lane.due_lanes().filter(company=company_id).exists():
            break
    return turn


def _work(lease: Lease, turn: DeliveryResult, until: float) -> None:
    queue = BatchQueue()
    ahead = ReadAhead(queue)
    while True:
        if shutdown.has_begun():
            turn.more_in = 0.0
            return
        seen = lane.read_lane(lease)
        batch, recalls = selection.next_test(lease.company_id) if seen.has_test else None, seen.connection.recalls
        if batch is None:
            if not seen.may_send:
                return
            if time.monotonic() >= until:
                turn.more_in = 0.0
                return
            if not _budget_allows(lease, seen, turn):
                return
            batch, recalls = ahead.pop() or (queue.next_batch(seen), recalls)
        if batch is None:
            if backfill.plan_next_chunk(lease):
                continue
            return
        if batch.unsendable:
            settle.close_unsendable(lease, batch.unsendable)
            turn.states.update({verdict.state: len(rows) for verdict, rows in batch.unsendable.items()})
        if batch.sendable:
            fitting = fitting_events(batch.sendable, seen.connection.body_limit)
            BatchSender(lease, turn, replace(batch, sendable=fitting), recalls, ahead).run()


def _budget_allows(lease: Lease, seen: LaneSnapshot, turn: DeliveryResult) -> bool:
    """Wait where the purse asks for a short wait; for a long one let the lane rest and give the worker back."""
    if seen.wait_seconds <= LONGEST_SLEEP_SECONDS:
        time.sleep(seen.wait_seconds)
        return True
    lane.wait_until(lease, seen.now + timedelta(seconds=seen.wait_seconds))
    turn.more_in = seen.wait_seconds
    return False
