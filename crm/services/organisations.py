"""Renaming an organisation. It is only a name: all leads that have it get the new one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Now

from crm.models import AuditAction, Company, Lead, OrganisationRename, User
from crm.models.lead import LeadQuerySet
from crm.models.organisation import OrganisationKey
from crm.models.tracking.origin import current_actor
from crm.models.tracking.snapshots import chunks
from crm.services import audit
from crm.services.deadlocks import tried_again
from crm.services.editing import ChangedMeanwhile
from crm.services.organisation_details import move_details
from postgresql.bounds import LONG_SECONDS, statements_may_take

# Leads in one transaction: some seconds, in which no one else can save them.
RENAMED_AT_MOST: Final = 10_000
TOO_MANY: Final = (
    f"Nothing was renamed: more than {RENAMED_AT_MOST:,} leads have this organisation. Use the API to rename so many "
    "leads."
)


class RenameRefused(Exception):
    """Why an organisation can't be renamed, in a sentence. Nothing was changed."""


def leads_to_rename(*, company: Company, organisation: str) -> int:
    """How many leads have this organisation. Raises RenameRefused if there are too many."""
    leads = Lead.objects.for_company(company).of_organisation(organisation)
    lead_count = leads.order_by()[: RENAMED_AT_MOST + 1].count()
    if lead_count > RENAMED_AT_MOST:
        raise RenameRefused(TOO_MANY)
    return lead_count


def leads_joined(*, company: Company, organisation: str, name: str) -> int:
    """How many leads are in another organisation that already has this name, up to RENAMED_AT_MOST + 1."""
    leads = (
        Lead.objects.for_company(company)
        .of_organisation(name)
        .alias(key=OrganisationKey("organisation"))
    )
    others = leads.exclude(key=OrganisationKey(Value(organisation)))
    return others.order_by()[: RENAMED_AT_MOST + 1].count()


@tried_again
@statements_may_take(LONG_SECONDS)
@transaction.atomic
def rename_organisation(
    *,
    company: Company,
    organisation: str,
    name: str,
    lead_count: int,
    joined_count: int = 0,
) -> int:
    """Rename the organisation, given by name or key, on its leads. Returns how many had another name.

    Raises ChangedMeanwhile if its number of leads, or that of the organisation it is joined with, is not the expected
    one, and RenameRefused if there are too many. No CRM event depends on the name.
    """
    leads_to_rename(company=company, organisation=organisation)
    own = Lead.objects.for_company(company)
    found = list(own.of_organisation(organisation).values_list("pk", flat=True))
    # With the leads merged into them: undoing a merge would bring the old organisation back.
    named = own.alias(key=OrganisationKey("organisation")).filter(
        key=OrganisationKey(Value(organisation))
    )
    merged = named.filter(merged_into__in=found).values_list("pk", flat=True)
    # All are locked before the first is written, in the common lock order.
    rows = (
        named.filter(pk__in=[*found, *merged])
        .select_for_update(no_key=True)
        .order_by("pk")
    )
    locked = list(rows.values_list("pk", "merged_into_id", "organisation"))
    kept_by_pk = {pk: kept for pk, kept, _ in locked}
    pks = [pk for pk, kept in kept_by_pk.items() if kept is None]
    joined = leads_joined(company=company, organisation=organisation, name=name)
    if (len(pks), joined) != (lead_count, joined_count):
        raise ChangedMeanwhile
    others, kept_ones = own.exclude(organisation=name), {*pks}
    renamed = _write(others, pks, name)
    _write(others, [pk for pk, kept in kept_by_pk.items() if kept in kept_ones], name)
    has_moved = move_details(company=company, organisation=organisation, name=name)
    if renamed:
        written = [each for each in locked if (each[1] or each[0]) in kept_ones]
        _keep_for_undo(company, written, name, has_moved_details=has_moved)
        # Not the names, which would outlive an erasure: an organisation may have the person's name.
        audit.record(
            company=company,
            action=AuditAction.ORGANISATION_RENAMED,
            details={"leads": renamed},
        )
    return renamed


def _keep_for_undo(
    company: Company,
    leads: Iterable[tuple[int, int | None, str]],
    name: str,
    *,
    has_moved_details: bool,
) -> None:
    """Store the former spellings of these leads, given by id, the lead that they were merged into, and spelling."""
    former: defaultdict[str, list[int]] = defaultdict(list)
    for pk, _, spelling in leads:
        if spelling != name:
            former[spelling].append(pk)
    actor = current_actor()
    OrganisationRename.objects.create(
        company=company,
        name=name,
        names=former,
        moved_details=has_moved_details,
        renamed_by=actor if isinstance(actor, User) else None,
    )


def _write(others: LeadQuerySet, pks: Sequence[int], name: str) -> int:
    return sum(
        others.filter(pk__in=part).update(organisation=name, updated_at=Now())
        for part in chunks(pks)
    )
