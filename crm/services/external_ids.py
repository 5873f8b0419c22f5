"""The ids that a lead or deal has in other systems."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from crm.models import Deal, DealExternalId, Lead, LeadExternalId
from crm.models.external_id import Reference
from crm.services.erasure import locking_subject

EXTERNAL_IDS_AT_MOST: Final = 20  # of a lead or deal
FIELD: Final = "external_ids"
TAKEN: Final = "{} is the external id of {} {}."


@transaction.atomic
def add_external_ids(*, row: Lead | Deal, ids: Sequence[Reference]) -> None:
    """Give a lead or deal these ids too. Raises ValidationError if another one has one of them."""
    model, column = _model_of(row)
    # Sorted: two requests with the same ids wait for each other, and neither for both.
    new = [
        model(company_id=row.company_id, **{column: row}, **each._asdict())
        for each in sorted(set(ids))
    ]
    model.objects.bulk_create(new, ignore_conflicts=True)
    wanted = Q(pk__in=[])
    for each in ids:
        wanted |= Q(**each._asdict())
    named = model.objects.for_company(row.company_id).filter(wanted)
    if taken := named.exclude(**{column: row}).first():
        owner = getattr(taken, f"{column}_id")
        raise ValidationError({FIELD: TAKEN.format(taken, column, owner)})


def replace_external_ids(*, row: Lead | Deal, ids: Sequence[Reference]) -> None:
    """Give a lead or deal these ids and no others.

    Raises ValidationError if another one has one of them, PersonErased or LeadMerged.
    """
    model, column = _model_of(row)
    with _locking(row):
        own = model.objects.filter(**{column: row})
        had = {Reference(each.system, each.external_id): each.pk for each in own}
        gone = [pk for reference, pk in had.items() if reference not in ids]
        new = [reference for reference in ids if reference not in had]
        own.filter(pk__in=gone).delete()
        if new:
            add_external_ids(row=row, ids=new)
        if gone or new:
            # Count it as a change, which undoing an import must not take away.
            type(row)._default_manager.filter(pk=row.pk).update(updated_at=Now())
            row.refresh_from_db(fields=["updated_at"])


def _locking(row: Lead | Deal) -> AbstractContextManager[None]:
    """Lock the lead, or the deal and its lead: it can't be erased or merged meanwhile."""
    if isinstance(row, Deal):
        return locking_subject(lead_id=row.lead_id, deal_id=row.pk)
    return locking_subject(lead_id=row.pk, deal_id=None)


def _model_of(row: Lead | Deal) -> tuple[Any, str]:
    """The model of its external ids, and the column that refers to it."""
    return (
        (LeadExternalId, "lead") if isinstance(row, Lead) else (DealExternalId, "deal")
    )
