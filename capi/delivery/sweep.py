"""Finds lanes that are due and have no worker, and ends events that can't be sent any more."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from capi.delivery import lane, pauses, planning
from capi.models import Backfill, Connection, ConversionEvent, ConversionRule
from capi.models.choices import Reason, State
from crm.models import Company


def due_companies() -> list[int]:
    """The companies whose lane has something to send and no worker."""
    _resume_after_version_change()
    pauses.pause_restored()
    return list(lane.due_lanes().values_list("company_id", flat=True))


def tidy() -> None:
    """End every open event that can't be sent any more, even if its lane is paused."""
    events = ConversionEvent.objects.filter(is_test=False)
    oldest = Now() - timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    about_deals = ConversionRule._base_manager.filter(crm_event__startswith="deal_")
    deleted = ConversionRule._base_manager.filter(deleted_at__isnull=False)
    closed = Company._base_manager.filter(is_active=False)
    # A lead may get its address while the transaction that plans its event is open. Neither sees the other's change.
    planning.release_waiting(events)
    planning.end_and_pass_on(
        events.filter(happened_at__lte=oldest), State.EXPIRED, Reason.TOO_OLD
    )
    planning.end_taken_back(events)
    planning.end(events.filter(lead=None), State.CANCELLED, Reason.LEAD_DELETED)
    planning.end(
        events.filter(deal=None, rule__in=about_deals),
        State.CANCELLED,
        Reason.DEAL_DELETED,
    )
    planning.end(events.filter(rule__in=deleted), State.CANCELLED, Reason.RULE_DELETED)
    Backfill.objects.filter(rule__deleted_at__isnull=False).cancel(Reason.RULE_DELETED)
    planning.end(
        events.filter(company__in=closed), State.CANCELLED, Reason.COMPANY_CLOSED
    )
    planning.skip(events)
    planning.recheck_all(events)


def _resume_after_version_change() -> None:
    """Resume the connections that were paused for an API version that we no longer use."""
    stopped = Connection.objects.filter(
        is_paused=True, paused_reason=Reason.VERSION_RETIRED
    )
    stopped.filter(~Q(paused_version=settings.LINKEDIN_API_VERSION)).update(
        is_paused=False,
        paused_reason=Reason.NONE,
        paused_version="",
        paused_at=None,
        next_attempt_at=None,
        next_look_at=None,
    )
