"""Pauses whatever can't send until someone acts: a rule, a connection, or all connections."""

import logging

from django.db import transaction
from django.db.models.functions import Now

from capi.delivery import lane
from capi.delivery.lane import Lease
from capi.models import CompanyQuerySet, Connection, ConversionRule
from capi.models.choices import Reason
from capi.models.connection import NO_DATABASE, SENDS_FROM_HERE, THIS_DATABASE
from crm.models import Company

logger = logging.getLogger(__name__)


@transaction.atomic
def pause_rule(rule: ConversionRule, reason: Reason, message: str) -> bool:
    """Pause the rule, unless its LinkedIn id has changed since `rule` was read. Returns True if it was paused."""
    # First: resuming a rule also locks the connection before the rule.
    lane.request_alert_check(rule.company_id)
    same = ConversionRule._base_manager.filter(
        pk=rule.pk, linkedin_id=rule.linkedin_id, is_paused=False
    )
    paused = bool(
        same.update(
            is_paused=True,
            paused_reason=reason,
            paused_message=message,
            paused_at=Now(),
        )
    )
    if paused and reason == Reason.REFUSED:
        values = rule.pk, rule.company_id, message
        transaction.on_commit(lambda: _log_refusal(*values), robust=True)
    return paused


def _log_refusal(rule_id: int, company_id: int, message: str) -> None:
    logger.error(
        "LinkedIn rejects every request of rule %s of company %s, whatever is in it. That points to a change at "
        "LinkedIn or a fault in LeadMachine. The rule is paused until someone resumes it. LinkedIn's message: %s",
        rule_id,
        company_id,
        message,
        extra={"company_id": company_id, "rule_id": rule_id},
    )


def pause_all_for_version(version: str) -> int:
    """Pause every connection: LinkedIn has retired the API version that all use. Returns how many were paused."""
    paused = _pause(Connection.objects.all(), Reason.VERSION_RETIRED, version=version)
    if paused:
        logger.error(
            "LinkedIn no longer serves version %s of its API: all sending is paused (companies: %s). Set "
            "LINKEDIN_API_VERSION to a newer version and restart; events on hold are then sent.",
            version,
            paused,
        )
    return paused


def pause_held_back(connections: CompanyQuerySet[Connection]) -> int:
    """Pause those that may not send from this database, so that pages, mails and the doctor say so.

    Returns how many weren't paused.
    """
    return _pause(connections.exclude(SENDS_FROM_HERE), Reason.ALL_PAUSED)


def pause_restored() -> None:
    """Note the database of connections that have none. Pause the connections of another one, and log it."""
    Connection.objects.filter(sends_from="").update(sends_from=THIS_DATABASE)
    if paused := pause_held_back(Connection.objects.all()):
        logger.error(
            "All sending is paused (companies: %s): this database was restored from a backup, or is a copy. Repeat the "
            "privacy changes made since (`manage.py repeat_privacy_changes`), then run `manage.py resume_sending`.",
            paused,
        )


def database_of_new_connection() -> str:
    """What a new connection has in `sends_from`: while all sending is paused, it is held back like the others."""
    if Connection.objects.exclude(SENDS_FROM_HERE).exists():
        return NO_DATABASE
    return str(Company.objects.values_list(THIS_DATABASE, flat=True)[:1].get())


@transaction.atomic
def pause_all() -> int:
    """Pause every connection until the operator resumes sending. Returns how many there are.

    A request that a worker has already paid for is sent, but no later one.
    """
    _lock_all()
    _pause(Connection.objects.all(), Reason.ALL_PAUSED)
    return Connection.objects.update(sends_from=NO_DATABASE)


@transaction.atomic
def resume_all() -> int:
    """End the pause of all sending, also that of a restored database. Returns how many connections send again."""
    _lock_all()
    Connection.objects.update(sends_from=THIS_DATABASE)
    paused = Connection.objects.filter(is_paused=True, paused_reason=Reason.ALL_PAUSED)
    return paused.update(
        is_paused=False, paused_reason=Reason.NONE, paused_at=None, next_look_at=None
    )


def _lock_all() -> None:
    list(Connection.objects.order_by("pk").select_for_update().values_list("pk"))


@transaction.atomic
def _pause(
    connections: CompanyQuerySet[Connection], reason: Reason, *, version: str = ""
) -> int:
    """Pause those of the connections that aren't paused. Returns how many there were."""
    # Locked in order, so that two workers that get an answer about the version at once don't deadlock.
    sending = connections.filter(is_paused=False).order_by("pk").select_for_update()
    pks = list(sending.values_list("pk", flat=True))
    return Connection.objects.filter(pk__in=pks).update(
        is_paused=True,
        paused_reason=reason,
        paused_version=version,
        paused_at=Now(),
        next_look_at=None,
    )


def pause_connection(lease: Lease, reason: Reason, token_version: int) -> None:
    """Pause the connection, if the refused token is still the current one.

    A 401 for an old token says nothing about the new one. If the connection is already paused for this reason (a test
    event may be refused again), the pause keeps its start.
    """
    current = Connection.objects.filter(
        company=lease.company_id, token_version=token_version
    )
    current.exclude(is_paused=True, paused_reason=reason).update(
        is_paused=True, paused_reason=reason, paused_at=Now(), next_look_at=None
    )
