"""Undoing a rename of an organisation, and so a merge of two: its leads get their names back."""

from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from crm.models import AuditAction, Company, Lead, OrganisationRename
from crm.models.tracking.snapshots import chunks
from crm.services import audit
from crm.services.deadlocks import tried_again
from crm.services.organisation_details import move_details
from crm.services.organisations import RenameRefused
from postgresql.bounds import LONG_SECONDS, statements_may_take

UNDONE_BEFORE: Final = (
    "There is nothing to undo: this has been undone, or is more than a day old."
)


@tried_again
@statements_may_take(LONG_SECONDS)
@transaction.atomic
def undo_rename(*, rename: OrganisationRename) -> int:
    """Give the leads their former spellings, but not those that have got another name since. Returns how many.

    Raises RenameRefused. No CRM event depends on the name.
    """
    company = rename.company
    # An erasure holds it too, and deletes the row.
    Company.objects.hold(company.pk)
    if not OrganisationRename.objects.undoable().filter(pk=rename.pk).exists():
        raise RenameRefused(UNDONE_BEFORE)
    leads = Lead.objects.for_company(company).filter(organisation=rename.name)
    pks = sorted(pk for each in rename.names.values() for pk in each)
    # All are locked before the first is written, in the common lock order.
    list(leads.filter(pk__in=pks).select_for_update(no_key=True).order_by("pk"))
    count = 0
    for spelling, named in rename.names.items():
        for part in chunks(named):
            own = leads.filter(pk__in=part)
            count += own.update(organisation=spelling, updated_at=Now())
    if rename.moved_details and count:
        former = rename.former_name
        move_details(company=company, organisation=rename.name, name=former)
    if count:
        audit.record(
            company=company,
            action=AuditAction.ORGANISATION_RENAMED,
            details={"leads": count},
        )
    rename.delete()
    return count
