"""The daily housekeeping: one worker deletes the expired rows of all tables.

Every worker checks each minute whether it is due, by the database's clock, and claims it in the database. No scheduler
is needed. If a worker dies, another starts again from the first table: tables that are done cost almost nothing.
"""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from capi.delivery import shutdown
from capi.linkedin.sandbox.request_log import RequestLog
from capi.models import Housekeeping
from capi.models.functions import database_now
from crm.services import attachments
from crm.services.background import tried
from leadmachine.expiry import Expires, InUse, Renew
from leadmachine.retention import RETENTIONS
from leadmachine.timers import Repeating
from postgresql.bounds import HOUSEKEEPING_SECONDS, statements_may_take

logger = logging.getLogger(__name__)

CHECK_EVERY_SECONDS: Final = 60.0
BATCH: Final = 1_000  # rows per statement, which takes some 30 ms
# Between two statements, to leave the database free for deliveries.
PAUSE_SECONDS: Final = 0.05
LEDGER_BYTES: Final = 64 * 2**20  # the size at which the sandbox's ledger is set aside


class ClaimLost(Exception):
    """This worker hung for so long that another one has claimed the housekeeping."""


class WorkerStopping(Exception):
    """This worker is stopping: another one will continue."""


class Housekeeper(Repeating):
    """Checks every minute whether the housekeeping is due."""

    name = "housekeeping"

    def seconds(self) -> float:
        return CHECK_EVERY_SECONDS

    def round(self, number: int) -> None:
        keep_house_if_due()


def keep_house_if_due() -> bool:
    """Delete expired rows, unless that was done in the last day. Returns True if this call claimed the housekeeping."""
    claim_id = Housekeeping.objects.claim()
    if claim_id is None:
        return False
    try:
        with statements_may_take(HOUSEKEEPING_SECONDS):
            succeeded = _delete_expired(partial(_renew, claim_id))
    except ClaimLost:
        logger.warning(
            "The housekeeping hung for minutes; another worker has taken over."
        )
    except WorkerStopping:
        logger.info(
            "The housekeeping stopped with its worker; another worker will continue."
        )
    else:
        (Housekeeping.objects.finish if succeeded else Housekeeping.objects.give_up)(
            claim_id
        )
    return True


def _delete_expired(renew: Renew) -> bool:
    """Go through all tables, and the files. Returns False if one of them failed. Raises ClaimLost or WorkerStopping."""
    deleted: dict[str, int | None] = {}
    for label in RETENTIONS:
        renew()
        deleted[label] = _tried(
            partial(_delete_old_rows, label, renew), f"Old rows of {label}"
        )
    # The storage may be down.
    swept = _tried(partial(attachments.sweep, renew), "Files without a row")
    if swept:
        logger.warning(
            "The daily housekeeping deleted %s files that no row refers to.",
            f"{swept:,}",
        )
    _prune_sandbox_log()
    rows = ", ".join(
        f"{count:,} of {label}" for label, count in deleted.items() if count
    )
    logger.info("The daily housekeeping deleted %s.", rows or "nothing")
    return None not in (swept, *deleted.values())


def _tried(delete: Callable[[], int], what: str) -> int | None:
    failure = f"{what} could not be deleted; the next attempt is in an hour."
    return tried(delete, failure=failure, passing=(ClaimLost, WorkerStopping))


def _prune_sandbox_log() -> None:
    ledger = RequestLog(settings.LINKEDIN_SANDBOX_LEDGER)
    if settings.LINKEDIN_SANDBOX:
        ledger.set_aside(beyond_bytes=LEDGER_BYTES)
    # Even if the sandbox has been switched off since: its ledger is still there.
    ledger.prune(database_now() - timedelta(days=settings.RETENTION_DAYS))


def _renew(claim_id: uuid.UUID) -> None:
    if shutdown.has_begun():
        raise WorkerStopping
    if not Housekeeping.objects.renew(claim_id):
        raise ClaimLost


def _delete_old_rows(label: str, renew: Renew) -> int:
    retention = RETENTIONS[label]
    if isinstance(retention, tuple):
        return sum(_delete_old(expiry, renew) for expiry in retention)
    return 0


def _delete_old(expiry: Expires, renew: Renew) -> int:
    before = database_now() - timedelta(days=expiry.period.days())
    expiry.first(before, renew)
    in_use = expiry.in_use(before)
    return sum(_delete(rows, in_use, renew) for rows in expiry.rows(before))


def _delete(rows: QuerySet[Any], in_use: InUse, renew: Renew) -> int:
    """Delete in key order, so that rows that stay are checked only once. Returns the number of deleted rows."""
    renew()
    deleted, keys = 0, rows.order_by("pk").values_list("pk", flat=True)
    pks = list(keys[:BATCH])
    while pks:
        old = set(pks) - in_use(pks)
        # A plain QuerySet, because the managers of some models refuse to delete, or only mark a row. Only the keys,
        # because Django reads the rows that it deletes, and a thousand attempts contain up to 160 MB of hashes.
        deleted += (
            QuerySet(rows.model)
            .filter(pk__in=old)
            .only("pk")
            .delete()[1]
            .get(rows.model._meta.label, 0)
        )
        time.sleep(PAUSE_SECONDS)
        renew()
        pks = list(keys.filter(pk__gt=pks[-1])[:BATCH])
    return deleted
