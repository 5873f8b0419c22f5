"""Bulk changes of leads: a few at once, all others in the background, chunk by chunk.

A chunk is one transaction, which locks the change's row. So no two workers do the same chunk, and if a process dies,
the chunk is done completely or not at all, along with the count and the position to continue from.
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError, transaction

from crm.models import (
    ApiKey,
    AuditAction,
    BulkChange,
    BulkKind,
    BulkSelection,
    BulkState,
    Company,
    LeadChange,
    LeadResult,
    Membership,
)
from crm.models.contribution import Author, active_author
from crm.models.jobs import packed_keys
from crm.models.lead_import import add_counts
from crm.models.origin import acting_as
from crm.services import audit, background
from crm.services.deadlocks import tried_again
from crm.services.lead_changes import (
    ChangedLeads,
    Confirmation,
    MoreThanConfirmed,
    TargetGone,
    change_leads,
    lead_change,
)
from postgresql.availability import took_too_long
from postgresql.bounds import LONG_SECONDS, statements_may_take

logger = logging.getLogger(__name__)

AT_ONCE: Final = 100  # leads that are changed while the member waits
CHUNK: Final = 500
DELETED_CHUNK: Final = 25  # a lead is deleted with its deals, notes and files, in some twenty statements
AT_WORK_AT_MOST: Final = 5  # per company: one that is running, and the others queued behind it
NOTHING: Final = "No lead matches these filters now."
NONE_LEFT: Final = "Nothing was changed: none of these leads is as it was when you were asked."
BUSY: Final = f"Your company has {AT_WORK_AT_MOST} bulk changes in progress. Wait until one is done, or cancel it."
FAILED: Final = "Something went wrong on our side. Try again, or ask the operator of LeadMachine to check the log."
TOO_SLOW: Final = "The database took too long. What was changed by then stays changed. Try again with fewer leads."
MORE_CONVERSIONS: Final = (
    "A rule or status has changed, so conversions would be sent that no one confirmed. What was changed stays. "
    "Start again for the rest."
)
NO_LONGER_ALLOWED: Final = "The person who asked for it may no longer do this."
KEY_NO_LONGER_ALLOWED: Final = "The API key that asked for it no longer works, or may no longer do this."


@tried_again
@transaction.atomic
def change_at_once(
    *,
    membership: Membership,
    change: LeadChange,
    keys: Sequence[int],
    confirmed: Confirmation | None = None,
    filters: Sequence[str] | None = None,
) -> ChangedLeads:
    """Change these few leads of the company now. `filters`: the names of the filters in use, if all matches are meant.

    Raises MoreThanConfirmed.
    """
    done = change_leads(company=membership.company, change=change, keys=keys, confirmed=confirmed)
    if done[LeadResult.CHANGED]:
        _record(membership, change, done[LeadResult.CHANGED], filters)
    return done


def start(
    *,
    author: Author,
    change: LeadChange,
    keys: Iterable[int],
    confirmed: Confirmation,
    since: int = 0,
    filters: Sequence[str] | None = None,
) -> BulkChange:
    """Queue a change of the company's leads with these keys. Confirmed leads that are not among them are left out.

    `since`: how many other matching leads have been changed since the question. `filters`: the names of the filters in
    use, if all matching leads are meant.

    Raises MoreThanConfirmed, and ValidationError if no leads are left, or if too many changes are pending.
    """
    company = author.company
    with transaction.atomic(), statements_may_take(LONG_SECONDS):
        Company.objects.hold(company.pk)  # anyone erased from now on is taken out of the selection
        if BulkChange.objects.for_company(company).at_work().count() >= AT_WORK_AT_MOST:
            raise ValidationError(BUSY)
        packed, count = packed_keys(keys)
        if count > confirmed.leads:
            raise MoreThanConfirmed
        if not count:
            raise ValidationError(NONE_LEFT)
        target = change.target.pk if change.target else None
        new = BulkChange.objects.create(
            company=company,
            made_by=author.user if isinstance(author, Membership) else None,
            api_key=author if isinstance(author, ApiKey) else None,
            kind=change.kind,
            target=target,
            lead_count=count,
            done=_left_out(confirmed.leads - count, since),
            asked_at=confirmed.asked_at,
            conversions=confirmed.conversions,
            rules=None if confirmed.rules is None else sorted(confirmed.rules),
        )
        BulkSelection.objects.create(company=company, bulk_change=new, keys=packed)
        _record(author, change, count, filters, about=new)
    return new


def _left_out(count: int, since: int) -> dict[str, int]:
    """The confirmed leads that are not changed, counted by result. With the changed ones they add up to all."""
    changed = min(count, since)  # others match only because they were changed, and were never confirmed
    return {LeadResult.SINCE.value: changed, LeadResult.UNMATCHED.value: count - changed}


def cancel(*, bulk_change: BulkChange) -> bool:
    """Stop the change after the current chunk; leads changed by then stay so. Returns False if it has already ended."""
    with transaction.atomic():
        is_cancelled = BulkChange.objects.filter(pk=bulk_change.pk).end(BulkState.CANCELLED)
        if is_cancelled:
            audit.record(company=bulk_change.company_id, action=AuditAction.BULK_CHANGE_CANCELLED, about=bulk_change)
    return is_cancelled


def work_through(go_on: Callable[[], bool]) -> None:
    """Work on all bulk changes, a chunk of each in turn, until none is left or `go_on` returns False."""
    background.work_through(BulkChange.objects.at_work(), advance, go_on=go_on)


def advance(pk: int) -> bool:
    """Do the next chunk of a bulk change. Returns False if there is none, or if the change has to wait.

    An error stops the change, because a retry would fail too. Errors of an unavailable database are raised.
    """
    try:
        return _next_chunk_or_reason(pk)
    except (OperationalError, InterfaceError, InternalError) as error:  # InternalError: it is read-only
        if not took_too_long(error):
            raise
        logger.warning("Bulk change %s was stopped: a statement reached its time limit.", pk)
        return BulkChange.objects.filter(pk=pk).end(BulkState.STOPPED, TOO_SLOW)
    except Exception:
        logger.exception("Bulk change %s has failed.", pk)
        BulkChange.objects.filter(pk=pk).end(BulkState.STOPPED, FAILED)
        return False


def _next_chunk_or_reason(pk: int) -> bool:
    try:
        return _next_chunk(pk)
    except IntegrityError:  # the status or tag has just been deleted: the second attempt finds that it is gone
        return _next_chunk(pk)


@tried_again
@transaction.atomic
def _next_chunk(pk: int) -> bool:
    at_work = BulkChange.objects.at_work()
    rows = at_work.filter(pk=pk).select_related("company", "made_by", "api_key")
    bulk_change = rows.select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
    if bulk_change is None or at_work.for_company(bulk_change.company_id).filter(pk__lt=pk).exists():
        return False
    try:
        change = _allowed_change(bulk_change)
        with statements_may_take(LONG_SECONDS), acting_as(bulk_change.author, action=uuid.uuid4()):
            _change_next(bulk_change, change)
    except TargetGone as reason:
        return BulkChange.objects.filter(pk=pk).end(BulkState.STOPPED, str(reason))
    except MoreThanConfirmed:
        return BulkChange.objects.filter(pk=pk).end(BulkState.STOPPED, MORE_CONVERSIONS)
    if bulk_change.reached == bulk_change.lead_count:
        BulkChange.objects.filter(pk=pk).end(BulkState.DONE)
    return True


def _allowed_change(bulk_change: BulkChange) -> LeadChange:
    """The change to make. Raises TargetGone if it is no longer possible or allowed.

    By now, the person may have been deactivated or have another role, the key may have been revoked, or the company
    deactivated.
    """
    kind = BulkKind(bulk_change.kind)
    author = active_author(
        company_id=bulk_change.company_id, user_id=bulk_change.made_by_id, api_key_id=bulk_change.api_key_id
    )
    if author is None or not author.may(kind.needs):
        raise TargetGone(KEY_NO_LONGER_ALLOWED if bulk_change.api_key else NO_LONGER_ALLOWED)
    return lead_change(company=bulk_change.company, kind=kind, target=bulk_change.target)


def _change_next(bulk_change: BulkChange, change: LeadChange) -> None:
    keys = BulkSelection.objects.get(bulk_change=bulk_change).read()
    size = DELETED_CHUNK if change.kind == BulkKind.DELETE else CHUNK
    chunk = keys[bulk_change.reached : bulk_change.reached + size]
    confirmed = Confirmation(len(chunk), bulk_change.conversions, bulk_change.asked_at, _rules(bulk_change))
    done = change_leads(company=bulk_change.company, change=change, keys=chunk, confirmed=confirmed)
    bulk_change.state = BulkState.RUNNING
    bulk_change.reached += len(chunk)
    bulk_change.done = add_counts(bulk_change.done, {result.value: done[result] for result in LeadResult})
    bulk_change.refusals = add_counts(bulk_change.refusals, dict(done.refusals))
    bulk_change.conversions -= done.conversions
    bulk_change.save(update_fields=["state", "reached", "done", "refusals", "conversions"])


def _rules(bulk_change: BulkChange) -> frozenset[int] | None:
    return None if bulk_change.rules is None else frozenset(bulk_change.rules)


def _record(
    author: Author,
    change: LeadChange,
    count: int,
    filters: Sequence[str] | None,
    about: BulkChange | None = None,
) -> None:
    """Record the change in the audit log, with the id of the new status, owner or tag."""
    details: audit.Details = {"change": change.kind.value, "leads": count}
    if change.target is not None:
        details["to"] = change.target.pk
    if filters is not None:
        details["filters"] = list(filters)
    actor = author.user if isinstance(author, Membership) else author
    audit.record(company=author.company, action=AuditAction.BULK_CHANGE, about=about, details=details, actor=actor)
