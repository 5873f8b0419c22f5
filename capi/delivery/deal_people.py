"""Moves a deal's conversion events when it gets another lead: none is made, lost or doubled, all are about one person.

Once an event about the present lead may have been sent, the deal must keep that lead. Otherwise LinkedIn would get two
people for one deal or, by a retry under the same id, either of them. Until then all of the deal's
events follow, whatever their state, and are checked again for the new lead.
"""

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from capi.delivery import duplicates, merges, planning
from capi.delivery.recall import is_in, recall_unsent
from capi.delivery.sent_hashes import forget_hashes
from capi.delivery.wakeup import wake_on_commit
from capi.linkedin.sandbox.request_log import RequestLog
from capi.models import ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import Frequency, Reason, State
from capi.models.event import MAY_HAVE_ARRIVED
from crm.models import Change, ChangedField


def told_about(deal_id: int, company_id: int) -> Events:
    """The events of the deal that LinkedIn has or may have received."""
    return _of_deal(deal_id, company_id).filter(MAY_HAVE_ARRIVED)


def follow_lead(*, company_id: int, deal_id: int, was: int, now: int) -> bool:
    """Move the deal's events to another lead. Returns False, and changes nothing, if one of them may have been sent.

    Call it inside the transaction of the change, which has locked both leads and the deal.
    """
    on_the_wire = is_in(recall_unsent([company_id]))
    if _of_deal(deal_id, company_id).filter(MAY_HAVE_ARRIVED | on_the_wire).exists():
        return False
    moved = dict(
        _of_deal(deal_id, company_id).filter(lead=was).values_list("pk", "event_id")
    )
    if not moved:
        return True
    # Rejected events were sent with the previous lead's hash, and an erasure finds hashes only by the event's lead.
    forget_hashes(set(moved))
    transaction.on_commit(
        lambda: RequestLog(settings.LINKEDIN_SANDBOX_LEDGER).forget(moved.values()),
        robust=True,
    )
    _of_deal(deal_id, company_id).filter(lead=was).update(lead=now, message="")
    events = _of_deal(deal_id, company_id).filter(lead=now)
    planning.skip(events)
    # As if each event had always been about this lead: at their opt-out it would have been skipped for good.
    planning.end(
        events.filter(_has_sharing_changed_since()), State.SKIPPED, Reason.OPTED_OUT
    )
    # Events skipped only because of the previous lead are checked again for this one, so that correcting a wrong choice
    # loses nothing. Whether the person was counted is checked when they are sent.
    merges.reopen_unshared(events.exclude(_has_sharing_changed_since()))
    is_of_person = Q(
        rule__frequency=Frequency.PER_PERSON,
        state=State.SKIPPED,
        reason=Reason.ALREADY_COUNTED,
    )
    duplicates.reopen(events.filter(is_of_person))
    planning.wait_for_address(planning.of_leads(Q(email=""), events))
    planning.release_waiting(events)
    wake_on_commit(company_id)
    return True


def _has_sharing_changed_since() -> Q:
    """True for an event whose lead has opted out or in since it was planned."""
    changes = Change.objects.filter(lead=OuterRef("lead"), field=ChangedField.SHARING)
    return Q(Exists(changes.filter(changed_at__gte=OuterRef("created_at"))))


def _of_deal(deal_id: int, company_id: int) -> Events:
    return ConversionEvent.objects.for_company(company_id).filter(
        deal=deal_id, is_test=False
    )
