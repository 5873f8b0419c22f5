"""Check-ups: the doctor's findings, kept for the LinkedIn page."""

import logging
import time
from datetime import timedelta
from typing import Final

from django.db.models import F, Q
from django.db.models.functions import Now

from capi.delivery import shutdown
from capi.diagnostics.examine import examine
from capi.diagnostics.findings import as_json
from capi.models import Checkup, Connection
from crm.models import Company

logger = logging.getLogger(__name__)

EVERY: Final = timedelta(days=1)
AGAIN: Final = timedelta(hours=1)  # where a check-up failed, or its worker ended meanwhile
UNCLAIMED: Final = Q(checkup_claimed_at=None) | Q(checkup_claimed_at__lte=Now() - AGAIN)


def check_up(company: Company) -> None:
    """Examine the company and keep what was found, in the place of what was found before."""
    found = {"findings": as_json(examine(company, notes_facts=True)), "ran_at": Now()}
    Checkup.objects.update_or_create(company=company, defaults=found)


def check_up_due(*, seconds: float) -> None:
    """Check up on the connected companies whose last check-up is a day old, for about `seconds`.

    However many workers do so at the same time, each company has one check-up.
    """
    until = time.monotonic() + seconds
    for connection in _due():
        if time.monotonic() >= until or shutdown.has_begun():
            return
        if _claim(connection):
            _try(connection.company)


def _try(company: Company) -> None:
    try:
        check_up(company)
    except Exception:  # the others' check-ups must not wait for it
        logger.exception("The check-up of company %s failed; it is tried again in an hour.", company.pk)


def _due() -> list[Connection]:
    connected = Connection.objects.filter(UNCLAIMED, company__is_active=True).select_related("company")
    due = connected.exclude(company__checkup__ran_at__gt=Now() - EVERY)
    return list(due.order_by(F("company__checkup__ran_at").asc(nulls_first=True)))


def _claim(connection: Connection) -> bool:
    return bool(Connection.objects.filter(UNCLAIMED, pk=connection.pk).update(checkup_claimed_at=Now()))
