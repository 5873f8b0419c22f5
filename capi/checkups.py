"""Check-ups: the doctor's findings, kept for the LinkedIn page."""

import logging
import time
from datetime import timedelta
from typing import Final

from django.db.models import F
from django.db.models.functions import Now

from capi.doctor import examine
from capi.doctor.findings import as_json
from capi.models import Checkup, Connection
from crm.models import Company

logger = logging.getLogger(__name__)

# A little less than a day, so that an hourly look comes round at about the same hour each day.
EVERY: Final = timedelta(hours=23, minutes=30)


def check_up(company: Company) -> None:
    """Examine the company and keep what was found, in the place of what was found before."""
    found = {"findings": as_json(examine(company)), "ran_at": Now()}
    Checkup.objects.update_or_create(company=company, defaults=found)


def check_up_due(*, seconds: float) -> bool:
    """Check up on the companies whose last check-up is a day old, for about `seconds`. True if some are left."""
    until = time.monotonic() + seconds
    for company in _due_companies():
        if time.monotonic() >= until:
            return True
        try:
            check_up(company)
        except Exception:  # the others' check-ups must not wait for it
            logger.exception("The check-up of company %s failed; it is tried again within the hour.", company.pk)
    return False


def _due_companies() -> list[Company]:
    connected = Connection.objects.filter(company__is_active=True)
    due = connected.exclude(company__checkup__ran_at__gt=Now() - EVERY).select_related("company")
    return [connection.company for connection in due.order_by(F("company__checkup__ran_at").asc(nulls_first=True))]
