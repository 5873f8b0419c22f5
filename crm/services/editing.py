"""Changing leads and deals, including concurrent edits."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from django.db import transaction
from django.db.models.functions import Now

from crm.models import AuditAction, Deal, Lead, LeadStatus, LostReason, Note, Stage
from crm.models.lead import LeadQuerySet
from crm.services import audit
from crm.services.erasure import person_kept


def change_status(*, leads: LeadQuerySet, status: LeadStatus) -> int:
    """Give all these leads a status. Returns how many had a different one."""
    return leads.current().exclude(status=status).update(status=status, updated_at=Now())


def move_deal(*, deal: Deal, stage: Stage, lost_reason: LostReason | None = None, outcome_note: str = "") -> None:
    """Move a deal to a stage, with its outcome, in one save. Writes nothing else, so concurrent changes stay.

    Raises PersonErased if there is a note, which may name the person.
    """
    fields = deal.move_to(stage, lost_reason=lost_reason, outcome_note=outcome_note)
    with person_kept(deal.lead_id) if outcome_note else nullcontext():
        deal.save(update_fields=[*fields, "updated_at"])


@transaction.atomic
def delete(*, row: Lead | Deal) -> None:
    """Delete a deal, or a lead with its deals. The audit log keeps their numbers."""
    if isinstance(row, Lead):
        details: audit.Details = {"deals": list(row.deals.order_by("pk").values_list("pk", flat=True))}
        audit.record(company=row.company_id, action=AuditAction.LEAD_DELETED, about=row, details=details)
    else:
        details = {"lead": row.lead_id}
        audit.record(company=row.company_id, action=AuditAction.DEAL_DELETED, about=row, details=details)
    row.delete()


class ChangedMeanwhile(Exception):
    """Someone has changed the row since it was read for editing."""


def version_of(row: Lead | Deal | Note) -> str:
    """A string that changes with every change of the row, and with its source, which is renamed for many at once."""
    text = f"{row.updated_at.isoformat()} {row.source if isinstance(row, Lead) else ''}"
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def unchanged_since(version: str, row: Lead | Deal) -> Iterator[None]:
    """Lock the row and its lead while the row is saved. A version of "" matches any.

    Raises ChangedMeanwhile if the version differs, PersonErased, and DoesNotExist if the row has been deleted.
    """
    with person_kept(row.pk if isinstance(row, Lead) else row.lead_id):
        current = type(row)._base_manager.select_for_update(no_key=True).get(pk=row.pk)
        if version and version_of(current) != version:
            raise ChangedMeanwhile
        yield
