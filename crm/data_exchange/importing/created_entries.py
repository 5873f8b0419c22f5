"""What an import has added to the company's lists, and how undoing the import takes it back."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import Q, RestrictedError

from crm.data_exchange.importing.objects.registry import object_of
from crm.lists.columns import CUSTOM
from crm.lists.custom_fields import PREFIX
from crm.models import (
    AuditAction,
    Change,
    Company,
    CustomField,
    DealTag,
    Lead,
    LeadImport,
    LeadStatus,
    LeadTag,
    LeadType,
    SavedView,
    Tag,
)
from crm.models.audit_entries import Details, new_entry
from crm.models.picklist import PicklistEntry


class GrowingList(NamedTuple):
    """A list that an import may add to: its name in the audit log, and its filter in the lists of leads and deals."""

    model: type[PicklistEntry]
    kind: str
    filter: str
    is_used: Callable[[PicklistEntry], bool]


def take_back_created(lead_import: LeadImport) -> None:
    """Remove the entries that the import has added, except those that something else uses by now.

    No one else changes a list of the company meanwhile. A lead that is just being saved with a type or choice, which
    it has without a foreign key, shows that by its code from then on.
    """
    if not lead_import.created:
        return
    Company.objects.hold(lead_import.company_id)
    for name, keys in lead_import.created.items():
        if name.startswith(CUSTOM):
            _take_back_choices(lead_import, name, keys)
        else:
            _take_back_entries(lead_import, name, keys)
    lead_import.created = {}


def _take_back_entries(
    lead_import: LeadImport, name: str, keys: Iterable[int | str]
) -> None:
    model, kind, filtered_by, is_used = GROWING[name]
    company_id = lead_import.company_id
    key_field = "code__in" if model is LeadType else "pk__in"
    added = model.objects.for_company(company_id).filter(**{key_field: keys})
    # Locked: from here on, no one else can use a status or tag.
    for entry in added.select_for_update():
        others = model.objects.for_company(company_id).offered().exclude(pk=entry.pk)
        key = entry.code if isinstance(entry, LeadType) else str(entry.pk)
        if (
            is_used(entry)
            or entry.why_kept(others)
            or _is_in_a_view(company_id, filtered_by, key)
        ):
            continue
        try:
            with transaction.atomic():
                details: Details = {"kind": kind, "change": "deleted"}
                _record(lead_import, AuditAction.STEPS_CHANGED, entry, details)
                entry.delete()
        except RestrictedError:
            continue  # someone has just given it to a lead


def _take_back_choices(lead_import: LeadImport, name: str, keys: Iterable[str]) -> None:
    imported = object_of(lead_import)
    fields = CustomField.objects.of(lead_import.company_id, imported.custom_subject)
    key_of_field = name.removeprefix(CUSTOM)
    field = fields.filter(key=key_of_field).select_for_update().first()
    if field is None:
        return
    records = imported.model.objects.for_company(lead_import.company_id)
    unused = [
        key
        for key in keys
        if key in field.labels
        and not records.filter(_has_choice(key_of_field, key)).exists()
        and not _is_in_a_view(lead_import.company_id, PREFIX + key_of_field, key)
    ]
    kept = [choice for choice in field.choices if choice["key"] not in unused]
    if kept and len(kept) < len(field.choices):
        field.choices = kept
        field.save(update_fields=["choices"])
        details: Details = {"for": field.subject, "fields": ["choices"]}
        _record(lead_import, AuditAction.CUSTOM_FIELD_CHANGED, field, details)


def _has_choice(field: str, choice: str) -> Q:
    """Leads or deals with this choice, alone or among several."""
    one, several = {field: choice}, {field: [choice]}
    return Q(custom__contains=one) | Q(custom__contains=several)


def _is_in_a_view(company_id: int, name: str, key: str) -> bool:
    """True if a saved view filters by the entry."""
    pattern = rf"(^|&){re.escape(name)}={re.escape(key)}(&|$)"
    views = SavedView.objects.for_company(company_id)
    return views.filter(query__regex=pattern).exists()


def _record(
    lead_import: LeadImport, action: AuditAction, about: Any, details: Details
) -> None:
    author = lead_import.author
    new_entry(lead_import.company_id, action, about, details, author).save()


def _is_status_used(status: Any) -> bool:
    """True if a lead has the status, or anyone has moved one into or out of it."""
    named = Q(old=str(status.pk)) | Q(new=str(status.pk))
    changes = Change.objects.for_company(status.company_id).filter(field="status")
    return status.leads.exists() or changes.filter(named).exists()


def _is_type_used(kind: Any) -> bool:
    return Lead.objects.for_company(kind.company_id).filter(type=kind.code).exists()


def _is_tag_used(tag: Any) -> bool:
    leads, deals = LeadTag.objects.filter(tag=tag), DealTag.objects.filter(tag=tag)
    return leads.exists() or deals.exists()


# By the field of a column.
GROWING: Final[Mapping[str, GrowingList]] = {
    "status": GrowingList(LeadStatus, "statuses", "status", _is_status_used),
    "type": GrowingList(LeadType, "types", "type", _is_type_used),
    "tags": GrowingList(Tag, "tags", "tag", _is_tag_used),
}
