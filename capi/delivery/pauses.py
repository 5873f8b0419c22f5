"""Pauses whatever can't send until someone acts: a rule, a connection, or all connections."""

import logging
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from capi.delivery import lane
from capi.delivery.lane import Lease
from capi.models import Connection, ConversionRule
from capi.models.choices import Reason

logger = logging.getLogger(__name__)

# Logged once for each pause that only the operator can fix.
VERSION_IS_RETIRED: Final = (
    "LinkedIn no longer serves version %s of its API: all sending is paused (companies: %s). "
    "Set LINKEDIN_API_VERSION to a newer version and restart; events on hold are then sent."
)
REQUESTS_ARE_REFUSED: Final = (
    "LinkedIn rejects every request of rule %s of company %s, whatever is in it. That points to a change at LinkedIn "
    "or a fault in LeadMachine. The rule is paused until someone resumes it. LinkedIn's message: %s"
)


@transaction.atomic
def pause_rule(rule: ConversionRule, reason: Reason, message: str) -> bool:
    """Pause the rule, unless its LinkedIn id has changed since `rule` was read. Returns True if it was paused."""
    lane.request_alert_check(rule.company_id)  # first: resuming a rule also locks the connection before the rule
    same = ConversionRule._base_manager.filter(pk=rule.pk, linkedin_id=rule.linkedin_id, is_paused=False)
    paused = bool(same.update(is_paused=True, paused_reason=reason, paused_message=message, paused_at=Now()))
    if paused and reason == Reason.REFUSED:
        values = rule.pk, rule.company_id, message
        transaction.on_commit(lambda: logger.error(REQUESTS_ARE_REFUSED, *values), robust=True)
    return paused


def pause_all_for_version(version: str) -> int:
    """Pause every connection: LinkedIn has retired the API version that all use. Returns how many were paused."""
    with transaction.atomic():
        # Locked in order, so that two workers that get the answer at once don't deadlock.
        sending = Connection.objects.filter(is_paused=False).order_by("pk").select_for_update()
        pks = list(sending.values_list("pk", flat=True))
        paused = Connection.objects.filter(pk__in=pks).update(
            is_paused=True,
            paused_reason=Reason.VERSION_RETIRED,
            paused_version=version,
            paused_at=Now(),
            next_look_at=None,
        )
    if paused:
        logger.error(VERSION_IS_RETIRED, version, paused)
    return paused


def pause_connection(lease: Lease, reason: Reason, token_version: int) -> None:
    """Pause the connection, if the refused token is still the current one.

    A 401 for an old token says nothing about the new one. If the connection is already paused for this reason (a test
    event may be refused again), the pause keeps its start.
    """
    current = Connection.objects.filter(company=lease.company_id, token_version=token_version)
    current.exclude(is_paused=True, paused_reason=reason).update(
        is_paused=True, paused_reason=reason, paused_at=Now(), next_look_at=None
    )
