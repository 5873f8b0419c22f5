"""Changing leads and deals, including concurrent edits."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import transaction
from django.db.models import Model
from django.db.models.functions import Now

from crm.models import AuditAction, Deal, Lead, LeadStatus, Note, Stage, Task, User
from crm.models.lead import LeadMerged, LeadQuerySet
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.services import audit
from crm.services.deadlocks import tried_again
from crm.services.erasure import locking_person, locking_subject

# The fields of a deal that a move reads and writes.
OUTCOME: Final = ("stage", "lost_reason", "outcome_note")


def change_status(*, leads: LeadQuerySet, status: LeadStatus) -> int:
    """Give all these leads a status. Returns how many had a different one."""
    return (
        leads.current().exclude(status=status).update(status=status, updated_at=Now())
    )


def change_owner(*, leads: LeadQuerySet, owner: User | None) -> int:
    """Give all these leads an owner, or none. Returns how many had another one."""
    return leads.current().exclude(owner=owner).update(owner=owner, updated_at=Now())


def move_deal(
    *, deal: Deal, stage: Stage, seen: str | None = None, **outcome: Any
) -> None:
    """Move a deal to a stage, with its outcome, in one save. Writes nothing else, so concurrent changes stay.

    Raises DeletedMeanwhile and, with a note, which may name the person, PersonErased or DealReassigned. `seen` is the
    key of the stage in which the deal was shown: raises ChangedMeanwhile if the deal has been won or lost since.
    """
    is_personal = bool(outcome.get("outcome_note"))
    with (
        locking_subject(lead_id=deal.lead_id, deal_id=deal.pk)
        if is_personal
        else transaction.atomic()
    ):
        lock_outcome(deal)
        if seen is not None and seen != str(deal.stage_id) and not deal.stage.is_open:
            raise ChangedMeanwhile
        deal.save(update_fields=[*deal.move_to(stage, **outcome), "updated_at"])


def lock_outcome(deal: Deal) -> None:
    """Lock the deal, and read again what a move depends on: another person may have moved it. Raises DeletedMeanwhile.

    A caller that also locks the lead has to do so first, as an erasure does.
    """
    seen = deal.stage
    try:
        deal.refresh_from_db(
            fields=OUTCOME, from_queryset=Deal.objects.select_for_update(no_key=True)
        )
    except Deal.DoesNotExist as gone:
        raise DeletedMeanwhile from gone
    if deal.stage_id == seen.pk:
        deal.stage = seen  # no query


@tried_again
@transaction.atomic
def delete(*, row: Lead | Deal) -> None:
    """Delete a deal, or a lead with its deals and what was merged into it. The audit log keeps their numbers.

    Raises LeadMerged for a lead that has been merged into another one: undoing another merge has to find it.
    """
    if isinstance(row, Lead):
        person = dict(
            Lead.objects.of_person(row)
            .select_for_update()
            .values_list("pk", "merged_into")
        )
        if person.pop(row.pk, None) is not None:
            raise LeadMerged
        details: audit.Details = {
            "deals": list(row.deals.order_by("pk").values_list("pk", flat=True))
        }
        if person:
            details["merged"] = [*person]
        audit.record(
            company=row.company_id,
            action=AuditAction.LEAD_DELETED,
            about=row,
            details=details,
        )
    else:
        details = {"lead": row.lead_id}
        audit.record(
            company=row.company_id,
            action=AuditAction.DEAL_DELETED,
            about=row,
            details=details,
        )
    # `row` keeps its key, for a retry.
    type(row)._base_manager.filter(pk=row.pk).delete()


class ChangedMeanwhile(Exception):
    """Someone has changed the row since it was read for editing."""


def version_of(row: Lead | Deal | Note) -> str:
    """A string that changes with every change of the row, and when its source is renamed, for many leads at once."""
    text = f"{row.updated_at.isoformat()} {row.source if isinstance(row, Lead) else ''}"
    return hashlib.sha256(text.encode()).hexdigest()


def lock_with_lead(row: Lead | Deal | Task) -> None:
    """Lock the row until the transaction ends, after the lead and the deal that it is about: the common lock order.

    A row that has been deleted meanwhile isn't locked.
    """
    lead_id = {Lead: "pk", Deal: "lead_id", Task: "person_id"}[type(row)]
    before: list[tuple[type[Model], int | None]] = [(Lead, getattr(row, lead_id))]
    if isinstance(row, Task):
        before.append((Deal, row.deal_id))
    for model, pk in [*before, (type(row), row.pk)]:
        list(
            model._base_manager.select_for_update(no_key=True)
            .filter(pk=pk)
            .values("pk")
        )


@contextmanager
def unchanged_since(version: str, row: Lead | Deal) -> Iterator[None]:
    """Lock the row and its lead while the row is saved. A version of "" matches any.

    Raises ChangedMeanwhile if the version differs or a deal now belongs to another lead, PersonErased, and DoesNotExist
    if the row has been deleted.
    """
    with locking_person(row.pk if isinstance(row, Lead) else row.lead_id):
        current = type(row)._base_manager.select_for_update(no_key=True).get(pk=row.pk)
        if (version and version_of(current) != version) or _is_of_another_lead(
            current, row
        ):
            raise ChangedMeanwhile
        yield


def _is_of_another_lead(current: Lead | Deal, row: Lead | Deal) -> bool:
    """True for a deal that a merge, or its undo, has moved since it was read: its save would move it back."""
    return (
        isinstance(current, Deal)
        and isinstance(row, Deal)
        and current.lead_id != row.lead_id
    )
