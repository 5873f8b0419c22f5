"""What workers do. Messages hold ids only, and may be lost, doubled or late."""

import logging

from celery import shared_task

from capi.delivery import deliver as pipeline
from capi.delivery.wakeup import DELIVER, wake

logger = logging.getLogger(__name__)

BIGGEST_ID = 2**63 - 1
TURN_SECONDS = 5.0  # of one company, before the next in the queue has its turn


@shared_task(name=DELIVER)
def deliver(company_id: int) -> None:
    """One turn of the company's lane; asks for the next one where it had to stop before the end."""
    if not _is_id(company_id):
        logger.warning("A message asked to deliver for what is no company's id; nothing was done.")
        return
    turn = pipeline.deliver(company_id, seconds=TURN_SECONDS)
    if turn.more_in is not None:
        wake(company_id, after_seconds=turn.more_in)


def _is_id(value: object) -> bool:
    """Whoever can write to the broker can send anything: looked at here, it costs no query and no traceback."""
    return type(value) is int and 0 < value <= BIGGEST_ID
