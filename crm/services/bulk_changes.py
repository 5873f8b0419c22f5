"""Bulk changes of leads: a few at once, all others in the background, chunk by chunk."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from crm.jobs.runner import JobRefused, JobRunner
from crm.models import (
    ApiKey,
    AuditAction,
    BulkChange,
    BulkKind,
    BulkSelection,
    Company,
    LeadChange,
    LeadResult,
    Membership,
)
from crm.models.contribution import Author
from crm.models.job import JobState
from crm.models.key_selection import packed_keys
from crm.models.lead_import import add_counts
from crm.models.tracking.origin import acting_as
from crm.services import audit
from crm.services.deadlocks import tried_again
from crm.services.lead_changes import (
    ChangedLeads,
    Confirmation,
    MoreThanConfirmed,
    TargetGone,
    change_leads,
    lead_change,
)
from postgresql.bounds import LONG_SECONDS, statements_may_take

AT_ONCE: Final = 100  # leads that are changed while the member waits
CHUNK: Final = 500
# A lead is deleted with its deals, notes and files, in some twenty statements.
DELETED_CHUNK: Final = 25
# Per company: one that is running, and the others queued behind it.
AT_WORK_AT_MOST: Final = 5
NOTHING: Final = "No lead matches these filters now."
NONE_LEFT: Final = (
    "Nothing was changed: none of these leads is as it was when you were asked."
)
BUSY: Final = f"Your company has {AT_WORK_AT_MOST} bulk changes in progress. Wait until one is done, or cancel it."
MORE_CONVERSIONS: Final = (
    "A rule or status has changed, so conversions would be sent that no one confirmed. What was changed stays. "
    "Start again for the rest."
)


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
    done = change_leads(
        company=membership.company, change=change, keys=keys, confirmed=confirmed
    )
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
        # Anyone erased from now on is taken out of the selection.
        Company.objects.hold(company.pk)
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
            row_count=count,
            done=_left_out(confirmed.leads - count, since),
            asked_at=confirmed.asked_at,
            conversions=confirmed.conversions,
            rules=sorted(confirmed.rules),
        )
        BulkSelection.objects.create(company=company, bulk_change=new, keys=packed)
        _record(author, change, count, filters, about=new)
    return new


def _left_out(count: int, since: int) -> dict[str, int]:
    """The confirmed leads that are not changed, counted by result. With the changed ones they add up to all."""
    # Others match only because they were changed, and were never confirmed.
    changed = min(count, since)
    return {
        LeadResult.SINCE.value: changed,
        LeadResult.UNMATCHED.value: count - changed,
    }


def cancel(*, bulk_change: BulkChange) -> bool:
    """Stop the change after the current chunk; leads changed by then stay so. Returns False if it has already ended."""
    with transaction.atomic():
        is_cancelled = BulkChange.objects.filter(pk=bulk_change.pk).end(
            JobState.CANCELLED
        )
        if is_cancelled:
            audit.record(
                company=bulk_change.company_id,
                action=AuditAction.BULK_CHANGE_CANCELLED,
                about=bulk_change,
            )
    return is_cancelled


class BulkChangeRunner(JobRunner[BulkChange]):
    """Changes the next leads as if the person or key that requested it had changed each of them."""

    model = BulkChange
    noun = "Bulk change"
    cancel_url = "bulk_change_cancel"

    def usual_chunk(self, job: BulkChange) -> int:
        return DELETED_CHUNK if job.kind == BulkKind.DELETE else CHUNK

    def lock(self, pk: int) -> BulkChange | None:
        """None also while an older one of the company is at work."""
        bulk_change = super().lock(pk)
        if bulk_change is None:
            return None
        older = (
            BulkChange.objects.for_company(bulk_change.company_id)
            .at_work()
            .filter(pk__lt=pk)
        )
        return None if older.exists() else bulk_change

    def work(self, job: BulkChange) -> None:
        try:
            change = lead_change(
                company=job.company, kind=BulkKind(job.kind), target=job.target
            )
            with acting_as(job.author, action=uuid.uuid4()):
                _change_next(job, change, self.size(job))
        except TargetGone as reason:
            raise JobRefused(str(reason)) from reason
        except MoreThanConfirmed as reason:
            raise JobRefused(MORE_CONVERSIONS) from reason
        if job.reached == job.row_count:
            job.finish()


def _change_next(bulk_change: BulkChange, change: LeadChange, size: int) -> None:
    keys = BulkSelection.objects.get(bulk_change=bulk_change).read()
    chunk = keys[bulk_change.reached : bulk_change.reached + size]
    confirmed = Confirmation(
        len(chunk),
        bulk_change.conversions,
        bulk_change.asked_at,
        frozenset(bulk_change.rules),
    )
    done = change_leads(
        company=bulk_change.company, change=change, keys=chunk, confirmed=confirmed
    )
    bulk_change.reached += len(chunk)
    bulk_change.done = add_counts(
        bulk_change.done, {result.value: done[result] for result in LeadResult}
    )
    bulk_change.refusals = add_counts(bulk_change.refusals, dict(done.refusals))
    bulk_change.conversions -= done.conversions


advance: Final = BulkChangeRunner().advance


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
    audit.record(
        company=author.company,
        action=AuditAction.BULK_CHANGE,
        about=about,
        details=details,
        actor=actor,
    )
