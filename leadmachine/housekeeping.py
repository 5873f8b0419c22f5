"""The daily housekeeping: what no table keeps for ever goes, done by one worker for all of them.

Every worker looks each minute whether a turn is due, by the database's clock and a claim in the database. No scheduler
is needed, and what a worker leaves undone when it dies another does: a turn begins again at the top, where what is gone
costs nothing.
"""

import logging
import time
import uuid
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from capi.delivery import shutdown
from capi.linkedin.sandbox.request_log import RequestLog
from capi.models import Housekeeping
from capi.models.functions import database_now
from leadmachine.retention import RETENTIONS, Expires, InUse, Renew
from leadmachine.timers import Repeating
from postgresql.bounds import HOUSEKEEPING_SECONDS, statements_may_take

logger = logging.getLogger(__name__)

LOOKS_EVERY_SECONDS: Final = 60.0
BATCH: Final = 1_000  # rows in a statement: some 30 ms
PAUSE_SECONDS: Final = 0.05  # between two statements, in which deliveries have the database for themselves
LEDGER_BYTES: Final = 64 * 2**20  # of what the sandbox has received


class ClaimLost(Exception):
    """This worker stood still for so long that another one has taken the turn."""


class WorkerEnds(Exception):
    """This worker is to end: another one goes on with the turn."""


class Housekeeper(Repeating):
    """Looks every minute whether it is time to keep house."""

    name = "housekeeping"

    def seconds(self) -> float:
        return LOOKS_EVERY_SECONDS

    def round(self, number: int) -> None:
        keep_house_if_due()


def keep_house_if_due() -> bool:
    """Delete what has been kept for long enough, if nobody did within a day. Returns whether this was the turn."""
    claim_id = Housekeeping.objects.claim()
    if claim_id is None:
        return False
    try:
        with statements_may_take(HOUSEKEEPING_SECONDS):
            went_well = _turn(partial(_renew, claim_id))
    except ClaimLost:
        logger.warning("The housekeeping stood still for minutes; another worker goes on with it.")
    except WorkerEnds:
        logger.info("The housekeeping ends with its worker; another one goes on with it.")
    else:
        (Housekeeping.objects.finish if went_well else Housekeeping.objects.give_up)(claim_id)
    return True


def _turn(renew: Renew) -> bool:
    """Go through all tables, and say whether that went well. Raises ClaimLost or WorkerEnds."""
    went: dict[str, int] = {}
    for label, kept in RETENTIONS.items():
        renew()
        try:
            went[label] = sum(_delete_old(goes, renew) for goes in kept) if isinstance(kept, tuple) else 0
        except (ClaimLost, WorkerEnds):
            raise
        except Exception:  # the other tables must not wait for it
            logger.exception("Old rows of %s could not be deleted; it is tried again in an hour.", label)
    if settings.LINKEDIN_SANDBOX:
        RequestLog(settings.LINKEDIN_SANDBOX_LEDGER).set_aside(beyond_bytes=LEDGER_BYTES)
    rows = ", ".join(f"{count:,} of {label}" for label, count in went.items() if count)
    logger.info("The daily housekeeping deleted %s.", rows or "nothing")
    return len(went) == len(RETENTIONS)


def _renew(claim_id: uuid.UUID) -> None:
    if shutdown.has_begun():
        raise WorkerEnds
    if not Housekeeping.objects.renew(claim_id):
        raise ClaimLost


def _delete_old(goes: Expires, renew: Renew) -> int:
    before = database_now() - timedelta(days=goes.period.days())
    goes.first(before, renew)
    in_use = goes.in_use(before)
    return sum(_delete(rows, in_use, renew) for rows in goes.rows(before))


def _delete(rows: QuerySet[Any], in_use: InUse, renew: Renew) -> int:
    """From key to key, so that what stays is looked at once. Returns how many rows went."""
    renew()
    gone, keys = 0, rows.order_by("pk").values_list("pk", flat=True)
    pks = list(keys[:BATCH])
    while pks:
        old = set(pks) - in_use(pks)
        # QuerySet itself: the managers of some models refuse to delete, or only mark a row. And the keys alone: Django
        # reads what it deletes, and a thousand attempts hold up to 160 MB of hashes.
        gone += QuerySet(rows.model).filter(pk__in=old).only("pk").delete()[1].get(rows.model._meta.label, 0)
        time.sleep(PAUSE_SECONDS)
        renew()
        pks = list(keys.filter(pk__gt=pks[-1])[:BATCH])
    return gone
