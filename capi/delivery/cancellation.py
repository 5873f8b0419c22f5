"""Ends that come from outside of the pipeline: a person is erased, a company is closed, a backfill is cancelled."""

from collections.abc import Collection, Sequence

from django.db.models.functions import Now

from capi.delivery.planning import end
from capi.delivery.recall import call_back, wait_on_commit
from capi.delivery.sent_hashes import forget_hashes
from capi.models import Backfill, Connection, ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import OPEN_STATES, Reason, State


def forget_leads(*, company_id: int, lead_ids: Collection[int]) -> None:
    """Cancel what is still to be sent of these persons, and forget what was sent of them.

    Call it inside the transaction that erases them. The outermost `atomic` returns when no request holds them.
    """
    wait_on_commit(call_back([company_id]))
    events = ConversionEvent.objects.for_company(company_id).filter(lead__in=lead_ids)
    end(events, State.CANCELLED, Reason.ERASED)
    forget_hashes(set(events.values_list("pk", flat=True)))
    # Without its lead an event gets no hash any more, also not from a request that is under way.
    events.update(lead=None, message="")


def close_company(*, company_id: int) -> None:
    """Cancel all that is still to be sent for the company, and send nothing more. As for `forget_leads`."""
    wait_on_commit(call_back([company_id]))
    Connection.objects.for_company(company_id).update(
        is_paused=True, paused_reason=Reason.COMPANY_CLOSED, paused_at=Now(), next_look_at=None
    )
    Backfill.objects.for_company(company_id).cancel(Reason.COMPANY_CLOSED)
    end(ConversionEvent.objects.for_company(company_id), State.CANCELLED, Reason.COMPANY_CLOSED)


def reopen_company(*, company_id: int) -> None:
    """Let sending go on, unless something else holds it."""
    closed = Connection.objects.for_company(company_id).filter(paused_reason=Reason.COMPANY_CLOSED)
    closed.update(is_paused=False, paused_reason=Reason.NONE, paused_at=None, next_look_at=None)


def cancel_backfill(backfill: Backfill) -> int | None:
    """End a backfill, and what of it is still to be sent. Returns how many events that was; None if it had ended.

    What a request holds at this moment can't be called back: LinkedIn's answer decides about it. Call it inside a
    transaction.
    """
    call_back([backfill.company_id])
    if not Backfill.objects.filter(pk=backfill.pk).cancel():
        return None
    events = ConversionEvent.objects.for_company(backfill.company_id).filter(backfill=backfill)
    return end(events, State.CANCELLED, Reason.BACKFILL_CANCELLED)


def cancellable(events: Events) -> Events:
    """Those that may still be sent. A test is not among them: it ends by itself."""
    return events.counted().filter(state__in=OPEN_STATES)


def cancel(*, company_id: int, pks: Sequence[int]) -> int:
    """Call off the open ones of the company's events. Returns how many there were.

    Call it inside a transaction. Its commit returns when the request that is under way has had its answer: what
    LinkedIn has taken in it stands as sent, and nothing that begins later holds any of them.
    """
    wait_on_commit(call_back([company_id]))
    events = ConversionEvent.objects.for_company(company_id).filter(pk__one_of=pks)
    return end(cancellable(events), State.CANCELLED, Reason.CANCELLED_BY_HAND)
