"""Cancels events for a reason outside delivery: a person is erased, a company closed, a backfill cancelled."""

from collections.abc import Collection, Sequence
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from capi.delivery.duplicates import pass_on, release_given_up
from capi.delivery.pauses import pause_held_back
from capi.delivery.persons import forget_counted_people
from capi.delivery.planning import end, end_and_pass_on
from capi.delivery.recall import is_in, recall_unsent, wait_on_commit
from capi.delivery.sent_hashes import forget_hashes
from capi.linkedin.sandbox.request_log import RequestLog
from capi.models import Backfill, Connection, ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import OPEN_STATES, Reason, State
from capi.models.event import MAY_HAVE_ARRIVED
from capi.models.lookups import IdList
from crm.models.privacy_log import PrivacyChange, log_privacy_change
from crm.models.tracking.snapshots import chunks


def forget_leads(*, company_id: int, lead_ids: Collection[int]) -> None:
    """Cancel these leads' open events, and erase what is kept of them: hashes, counted people, the sandbox's log.

    Call it inside the transaction that erases them. The outermost `atomic` returns once no request in flight contains
    them.
    """
    wait_on_commit(recall_unsent([company_id]))
    events = ConversionEvent.objects.for_company(company_id).filter(lead__in=lead_ids)
    event_ids = list(events.values_list("event_id", flat=True))
    transaction.on_commit(
        lambda: RequestLog(settings.LINKEDIN_SANDBOX_LEDGER).forget(event_ids),
        robust=True,
    )
    end(events, State.CANCELLED, Reason.ERASED)
    forget_counted_people(company_id=company_id, lead_ids=lead_ids)
    forget_hashes(set(events.values_list("pk", flat=True)))
    # No hash is stored for an event without a lead, not even by a request that is in flight now.
    events.update(lead=None, message="")


def close_company(*, company_id: int) -> None:
    """Cancel the company's open events, and stop sending. Waits for requests in flight, as `forget_leads` does."""
    wait_on_commit(recall_unsent([company_id]))
    Connection.objects.for_company(company_id).update(
        is_paused=True,
        paused_reason=Reason.COMPANY_CLOSED,
        paused_at=Now(),
        next_look_at=None,
    )
    Backfill.objects.for_company(company_id).cancel(Reason.COMPANY_CLOSED)
    end(
        ConversionEvent.objects.for_company(company_id),
        State.CANCELLED,
        Reason.COMPANY_CLOSED,
    )


def reopen_company(*, company_id: int) -> None:
    """Resume sending, unless it is paused for another reason."""
    own = Connection.objects.for_company(company_id)
    closed = own.filter(paused_reason=Reason.COMPANY_CLOSED)
    closed.update(
        is_paused=False, paused_reason=Reason.NONE, paused_at=None, next_look_at=None
    )
    pause_held_back(own)


def cancel_backfill(backfill: Backfill) -> int | None:
    """Cancel a backfill and its open events. Returns the number of events, or None if the backfill had ended already.

    An event in a request that is in flight can't be recalled: LinkedIn's answer decides. Call it inside a transaction.
    """
    recall_unsent([backfill.company_id])
    if not Backfill.objects.filter(pk=backfill.pk).cancel():
        return None
    row = (backfill.pk, backfill.created_at)
    log_privacy_change(
        PrivacyChange.CANCELLED_BACKFILLS, company_id=backfill.company_id, rows=[row]
    )
    events = ConversionEvent.objects.for_company(backfill.company_id).filter(
        backfill=backfill
    )
    return end_and_pass_on(events, State.CANCELLED, Reason.BACKFILL_CANCELLED)


def take_back(*, company_ids: Collection[int], crm_event_ids: Sequence[int]) -> Events:
    """Cancel the open conversion events of these CRM events. Returns those that LinkedIn has or may have received.

    Call it inside a transaction. An event in a request in flight is marked and keeps its key: no later request
    contains it. Unless LinkedIn accepts it, it ends when the answer is written (`settle.write`), or, if none comes,
    when another worker takes over the lane (`deliver`).
    """
    in_one = is_in(recall_unsent(company_ids)) & Q(state=State.PENDING)
    events = ConversionEvent.objects.filter(crm_event__in=crm_event_ids)
    events.filter(in_one).update(reason=Reason.TAKEN_BACK)
    others = events.exclude(in_one)
    # These release or hand over their keys now, even those that had ended with one. Skipped events had none.
    leaving = others.filter(
        Q(state__in=OPEN_STATES) | Q(once_key__isnull=False)
    ).exclude(state=State.ACCEPTED)
    leaving_pks = list(leaving.values_list("pk", flat=True))
    release_given_up(events)
    end(others, State.CANCELLED, Reason.TAKEN_BACK)
    for pks in chunks(leaving_pks):
        pass_on(IdList(pks))
    # Only those in a request are still pending.
    return events.filter(MAY_HAVE_ARRIVED | Q(state=State.PENDING))


CANCELLABLE: Final = Q(state__in=OPEN_STATES, is_test=False)


def cancellable(events: Events) -> Events:
    """The events that may still be sent, except test events, which end on their own."""
    return events.filter(CANCELLABLE)


def cancel(*, company_id: int, pks: Sequence[int]) -> int:
    """Cancel those of the company's events that are open. Returns how many there were.

    Call it inside a transaction, whose commit returns once the request in flight has its answer. Events that LinkedIn
    accepted in that request stay sent, and no later request contains any of the events.
    """
    wait_on_commit(recall_unsent([company_id]))
    events = cancellable(
        ConversionEvent.objects.for_company(company_id).filter(pk__one_of=pks)
    )
    log_privacy_change(
        PrivacyChange.CANCELLED,
        company_id=company_id,
        rows=events.order_by("pk").values_list("pk", "created_at"),
    )
    return end(events, State.CANCELLED, Reason.CANCELLED_BY_HAND)
