"""Keeping the details of organisations: saving them, and moving or deleting them with the names that leads have."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Now

from crm.models import (
    Company,
    Lead,
    OrganisationDetails,
    OrganisationRename,
    User,
)
from crm.models.organisation import OrganisationKey, organisation_key
from crm.models.organisation_details import DETAILS
from crm.services.deadlocks import tried_again


class OrganisationGone(Exception):
    """No lead names the organisation any more. Nothing was saved."""


@tried_again
@transaction.atomic
def save_details(
    *, company: Company, key: str, values: Mapping[str, Any]
) -> OrganisationDetails:
    """Write these fields of the details of an organisation. Other fields stay as they are.

    Raises OrganisationGone.
    """
    # An erasure deletes the details of an organisation that only that person had. It holds the company, too.
    Company.objects.hold(company.pk)
    if not Lead.objects.for_company(company).of_organisation(key).exists():
        raise OrganisationGone
    row, _ = OrganisationDetails.objects.update_or_create(
        company=company, key=key, defaults=values
    )
    return row


@tried_again
@transaction.atomic
def change_owner_of(
    *, company: Company, leads: Collection[int], owner: User | None
) -> int:
    """Give the organisations that these leads name an owner, or none. Returns how many had another one."""
    # As in `save_details`.
    Company.objects.hold(company.pk)
    named = Lead.objects.for_company(company, keys=leads).in_organisations()
    keys = set(named.values_list(OrganisationKey("organisation"), flat=True))
    own = OrganisationDetails.objects.for_company(company).filter(key__in=keys)
    without = keys.difference(own.values_list("key", flat=True))
    changed = own.exclude(owner=owner).update(owner=owner, updated_at=Now())
    if owner is None:
        return changed
    new = [
        OrganisationDetails(company=company, key=key, owner=owner)
        for key in sorted(without)
    ]
    OrganisationDetails.objects.bulk_create(new)
    return changed + len(new)


def move_details(*, company: Company, organisation: str, name: str) -> bool:
    """Give the details of an organisation to the one with another name, after its leads have got that name.

    If both have details, those of the other one stay, and only its empty fields are filled in. Returns False then, and
    if there are none: an undo has nothing to move back.
    """
    own = OrganisationDetails.objects.for_company(company).select_for_update()
    key = OrganisationKey(Value(name))
    moved = (
        own.filter(key=OrganisationKey(Value(organisation))).exclude(key=key).first()
    )
    if moved is None:
        return False
    kept = own.filter(key=key).first()
    if kept is None:
        own.filter(pk=moved.pk).update(key=key, updated_at=Now())
        return True
    empty = [field for field in DETAILS if not getattr(kept, field)]
    for field in empty:
        setattr(kept, field, getattr(moved, field))
    kept.save(update_fields=[*empty, "updated_at"])
    # For an undo. The housekeeping deletes them.
    own.filter(pk=moved.pk).update(updated_at=Now())
    return False


def keys_of(leads: Collection[int]) -> list[str]:
    """The keys of the organisations that these leads name."""
    named = Lead.objects.filter(pk__in=leads).exclude(organisation="").order_by()
    return list(named.values_list(OrganisationKey("organisation"), flat=True))


def forget_details(*, company_id: int, keys: Collection[str]) -> None:
    """Delete the details of those of these organisations that no lead names any more: they may be about a person.

    With all names that renames have kept for an undo, and the details under these.
    """
    renames = OrganisationRename.objects.for_company(company_id)
    former = {organisation_key(name) for each in renames for name in each.names}
    renames.delete()
    if keys or former:
        own = OrganisationDetails.objects.for_company(company_id)
        own.filter(key__in={*keys, *former}).without_leads().delete()
