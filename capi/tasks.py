"""Celery tasks. Messages contain ids only, and may be lost, duplicated or late."""

import logging

from celery import shared_task

from capi.delivery import deliver as pipeline
from capi.delivery.wakeup import DELIVER, wake

logger = logging.getLogger(__name__)

MAX_ID = 2**63 - 1
TURN_SECONDS = 5.0  # per company, before the next one in the queue gets its turn


@shared_task(name=DELIVER)
def deliver(company_id: int) -> None:
    """Run one turn of the company's lane. Schedules another if this one stopped early."""
    if not _is_id(company_id):
        logger.warning("Ignored a deliver message without a valid company id.")
        return
    result = pipeline.deliver(company_id, seconds=TURN_SECONDS)
    if result.more_in is not None:
        wake(company_id, after_seconds=result.more_in)


def _is_id(value: object) -> bool:
    """True for a possible id. Anyone who can write to the broker can send anything: this saves a query or traceback."""
    return type(value) is int and 0 < value <= MAX_ID
