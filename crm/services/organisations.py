"""Renaming an organisation, which is a name: all leads that have it get another one."""

from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from crm.models import AuditAction, Company, Lead
from crm.models.snapshots import chunks
from crm.services import audit
from crm.services.deadlocks import tried_again
from crm.services.editing import ChangedMeanwhile

RENAMED_AT_MOST: Final = 10_000  # leads in one transaction: some seconds, in which nobody else can save them
TOO_MANY: Final = f"Nothing was renamed: more than {RENAMED_AT_MOST:,} leads have this organisation."


class RenameRefused(Exception):
    """Why an organisation can't be renamed, in a sentence. Nothing was changed."""


@tried_again
@transaction.atomic
def rename_organisation(*, company: Company, organisation: str, name: str, lead_count: int) -> int:
    """Give the leads of the organisation, which is a name or its key, this name. Returns how many had another one.

    Raises ChangedMeanwhile if there are not as many leads as expected, and RenameRefused if there are too many. No CRM
    event depends on the name.
    """
    leads = Lead.objects.for_company(company).of_organisation(organisation)
    # All of them before the first is written, in the order of all changes.
    rows = leads.select_for_update(no_key=True).order_by("pk")
    pks = list(rows.values_list("pk", flat=True)[: RENAMED_AT_MOST + 1])
    if len(pks) > RENAMED_AT_MOST:
        raise RenameRefused(TOO_MANY)
    if len(pks) != lead_count:
        raise ChangedMeanwhile
    others = leads.exclude(organisation=name)
    renamed = sum(others.filter(pk__in=part).update(organisation=name, updated_at=Now()) for part in chunks(pks))
    if renamed:
        # Not the names, which would outlive an erasure: an organisation may be called as the person is.
        audit.record(company=company, action=AuditAction.ORGANISATION_RENAMED, details={"leads": renamed})
    return renamed
