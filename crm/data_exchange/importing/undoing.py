"""Undoes an import: removes the leads that it added, and empties the fields that it filled.

A lead that has a deal, a task, a note or a file, or that someone has changed since, stays as it is.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from crm.data_exchange.importing.cells import SHARED
from crm.data_exchange.importing.custom_columns import value_of
from crm.data_exchange.importing.matching import TAGS
from crm.lists.columns import CUSTOM
from crm.models import (
    Attachment,
    AuditAction,
    Change,
    CrmEvent,
    Deal,
    DealPerson,
    DealTag,
    Lead,
    LeadImport,
    LeadImportRow,
    LeadTag,
    Note,
    RowOutcome,
    RowUndo,
    SavedView,
    Tag,
    Task,
)
from crm.models.audit_entries import Details, new_entry
from crm.models.custom_lookups import with_keys_set
from crm.models.tracking.recorder import take_back_with_counts

# What people do on a lead.
WORK: Final[tuple[Any, ...]] = (Change, Deal, DealPerson, Task, Note, Attachment)
# A lead whose last change is later than this after its creation was edited.
JUST_ADDED: Final = timedelta(seconds=1)


def undo_chunk(lead_import: LeadImport, size: int) -> bool:
    """Undo the newest rows, `size` at most. False if there are none left."""
    own = LeadImportRow.objects.for_company(lead_import.company_id)
    written = own.filter(
        lead_import=lead_import,
        outcome__in=(RowOutcome.NEW, RowOutcome.UPDATE),
        undo="",
        number__lte=lead_import.reached,
    )
    rows = list(written.order_by("-number")[:size])
    leads = _locked([row.lead_id for row in rows if row.lead_id])
    _remove([row for row in rows if row.outcome == RowOutcome.NEW], leads, lead_import)
    _empty([row for row in rows if row.outcome == RowOutcome.UPDATE], leads)
    for outcome in RowUndo:
        own.filter(pk__in=[row.pk for row in rows if row.undo == outcome]).update(
            undo=outcome
        )
    if rows:
        # The next chunk doesn't read these again.
        lead_import.reached = rows[-1].number - 1
    return bool(rows)


def _locked(pks: Sequence[int]) -> dict[int, Lead]:
    """The leads by id, each with `is_touched`: True if anyone has worked on it.

    They are locked here, before `take_back_with_counts` locks other rows.
    """
    somebodys_work = (
        Exists(model.objects.filter(lead=OuterRef("pk"))) for model in WORK
    )
    leads = (
        Lead.objects.select_for_update(no_key=True, of=("self",))
        .filter(pk__in=pks)
        .order_by("pk")
    )
    return {
        lead.pk: lead
        for lead in leads.annotate(is_touched=reduce(or_, map(Q, somebodys_work)))
    }


def _remove(
    rows: Sequence[LeadImportRow], leads: dict[int, Lead], lead_import: LeadImport
) -> None:
    for row in rows:
        lead = leads.get(row.lead_id or 0)
        row.undo = (
            RowUndo.REMOVED if lead is None or _is_untouched(lead) else RowUndo.KEPT
        )
    pks = [row.lead_id for row in rows if row.undo == RowUndo.REMOVED and row.lead_id]
    events = CrmEvent.objects.for_company(lead_import.company_id).filter(lead__in=pks)
    told = take_back_with_counts(
        events.filter(history_only=False, taken_back_at=None), sender=Lead
    )
    lead_import.already_told += sum(each.conversions for each in told)
    Lead.objects.for_company(lead_import.company_id).filter(pk__in=pks).delete()


def _is_untouched(lead: Any) -> bool:
    is_just_added = lead.updated_at - lead.created_at < JUST_ADDED
    return (
        lead.erased_at is None
        and lead.merged_into_id is None
        and is_just_added
        and not lead.is_touched
    )


def _empty(rows: Sequence[LeadImportRow], leads: dict[int, Lead]) -> None:
    """Empty each field that still has the import's value, and remove the tags that the import added."""
    links = {pk for row in rows for pk in row.filled.get(TAGS, ())}
    links &= set(
        LeadTag.objects.filter(pk__in=links, lead__in=leads).values_list(
            "pk", flat=True
        )
    )
    by_fields: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in rows:
        row.undo = RowUndo.KEPT
        lead = leads.get(row.lead_id or 0)
        if lead is None or not lead.is_current:
            continue
        unchanged = _unchanged(row, lead)
        others = row.filled.keys() - {TAGS, *unchanged}
        if not others and links.issuperset(row.filled.get(TAGS, ())):
            row.undo = RowUndo.PUT_BACK
        if unchanged:
            by_fields[unchanged].append(lead.pk)
    for names, pks in by_fields.items():
        Lead.objects.filter(pk__in=pks).update(**_emptied(names), updated_at=Now())
    LeadTag.objects.filter(pk__in=links).delete()


def _unchanged(row: LeadImportRow, lead: Lead) -> tuple[str, ...]:
    """The fields of the lead that still have the values of the row."""
    fields = ((name, value) for name, value in row.filled.items() if name != TAGS)
    return tuple(name for name, value in fields if value_of(lead, name) == value)


def _emptied(names: Sequence[str]) -> dict[str, Any]:
    """The values of these fields before the import filled them."""
    old: dict[str, Any] = {
        name: name == SHARED or "" for name in names if not name.startswith(CUSTOM)
    }
    if keys := [name.removeprefix(CUSTOM) for name in names if name.startswith(CUSTOM)]:
        old["custom"] = with_keys_set(dict.fromkeys(keys))
    return old


def take_back_created(lead_import: LeadImport) -> None:
    """Delete the tags that the import has added, except those that something else uses by now."""
    company_id = lead_import.company_id
    added = Tag.objects.for_company(company_id).filter(
        pk__in=lead_import.created.get(TAGS, ())
    )
    tags = list(added.select_for_update())  # from here on, no one else can use them
    used = set(LeadTag.objects.filter(tag__in=tags).values_list("tag", flat=True))
    used |= set(DealTag.objects.filter(tag__in=tags).values_list("tag", flat=True))
    views = SavedView.objects.for_company(company_id)
    for tag in tags:
        if (
            tag.pk not in used
            and not views.filter(query__regex=rf"(^|&)tag={tag.pk}(&|$)").exists()
        ):
            details: Details = {"kind": TAGS, "change": "deleted"}
            new_entry(
                company_id, AuditAction.STEPS_CHANGED, tag, details, lead_import.author
            ).save()
            tag.delete()
    lead_import.created = {}
