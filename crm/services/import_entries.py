"""The entries that an import adds to the company's lists when it starts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from django.core.exceptions import ValidationError

from crm.data_exchange.importing.column_readings import as_json, readings_of
from crm.data_exchange.importing.created_entries import GROWING
from crm.data_exchange.importing.new_entries import NewEntry, new_entries
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.value_choices import ValueAction, ValueChoice
from crm.data_exchange.importing.value_lists import value_lists
from crm.data_exchange.importing.value_maps import NEW_AT_MOST
from crm.lists.columns import CUSTOM
from crm.models import (
    ApiKey,
    Company,
    CustomField,
    LeadImport,
    LeadStatus,
    LeadType,
    User,
)
from crm.models.contribution import active_author
from crm.models.custom_field import CHOICES_AT_MOST
from crm.models.picklist import PicklistEntry
from crm.models.roles import Action
from crm.models.tracking.origin import acting_as
from crm.services import picklists
from crm.services.custom_fields import change_field
from crm.services.picklists import add_entry

MAY_NOT_ADD: Final = (
    "This import adds {}, which only an admin may do."
    " Leave unknown values empty, and check again."
)
NO_ROOM: Final = (
    "This import adds {} {}, and the list has room for {:,} more."
    " Leave some values empty, and check again."
)
CHANGED: Final = "Your company's {} have changed since the check. Check again."


def require_same_lists(lead_import: LeadImport) -> None:
    """Raise ValidationError if a list is no longer as it was when the rows were checked.

    What was shown then might not be what is imported, and a status sends conversions. No one changes a list until the
    transaction ends.
    """
    Company.objects.hold(lead_import.company_id)
    built_in, custom = object_of(lead_import).lists, typed_columns(lead_import)
    lists = value_lists(built_in, lead_import.company, lead_import.columns, custom)
    readings = readings_of(lead_import)
    for name, reading in zip(lead_import.columns, readings, strict=True):
        if not reading.list_digest:
            continue
        if name not in lists:
            raise ValidationError(CHANGED.format("custom fields"))
        if lists[name].digest != reading.list_digest:
            raise ValidationError(CHANGED.format(lists[name].kind.plural))


def add_entries(lead_import: LeadImport, actor: User | ApiKey) -> None:
    """Add what the rows of the import need to the lists, and choose these entries for their values.

    `created` has their keys from then on, for an undo. Raises ValidationError if the actor may not add them, or a list
    has no room for them.
    """
    new = new_entries(lead_import)
    if not new:
        return
    _require_permission(lead_import, actor, new)
    readings = readings_of(lead_import)
    created: dict[str, list[int | str]] = {}
    with acting_as(actor):
        for index, group in groupby(new, key=lambda entry: entry.index):
            entries = list(group)
            name = lead_import.columns[index]
            created[name] = _add(lead_import, name, entries)
            chosen = _choices(entries, created[name])
            values = {**readings[index].values, **chosen}
            readings[index] = replace(readings[index], values=values)
    lead_import.created, lead_import.readings = created, as_json(readings)


def _choices(
    entries: Sequence[NewEntry], keys: Sequence[int | str]
) -> dict[str, ValueChoice]:
    """The choice of its entry for each value."""
    return {
        value: ValueChoice(ValueAction.ENTRY, entry=str(key))
        for entry, key in zip(entries, keys, strict=True)
        for value in entry.keys
    }


def _require_permission(
    lead_import: LeadImport, actor: User | ApiKey, new: Sequence[NewEntry]
) -> None:
    """Raise ValidationError unless the actor may change the company's lists."""
    user, key = (actor.pk, None) if isinstance(actor, User) else (None, actor.pk)
    author = active_author(
        company_id=lead_import.company_id, user_id=user, api_key_id=key
    )
    if author is None or not author.may(Action.MANAGE_COMPANY):
        raise ValidationError(MAY_NOT_ADD.format(new[0].values.kind.plural))


def _add(
    lead_import: LeadImport, name: str, entries: Sequence[NewEntry]
) -> list[int | str]:
    """Add the entries to the list of this field. Returns their keys. Raises ValidationError, also if it has no room."""
    if name.startswith(CUSTOM):
        return list(_add_choices(lead_import, name, entries))
    company = lead_import.company
    plural = entries[0].values.kind.plural
    model = GROWING[name].model
    room = picklists.ENTRIES_AT_MOST - model.objects.for_company(company).count()
    _require_room(plural, len(entries), room)
    try:
        return [_add_entry(company, model, entry) for entry in entries]
    except ValidationError as error:
        raise ValidationError(error.messages[0]) from error


def _require_room(plural: str, count: int, room: int) -> None:
    if count > room:
        counted = f"{count:,}" if count < NEW_AT_MOST else f"at least {count:,}"
        raise ValidationError(NO_ROOM.format(counted, plural, max(room, 0)))


def _add_entry(company: Company, model: type[PicklistEntry], new: NewEntry) -> Any:
    """Returns the code of a type, and the id of another entry."""
    entry = model(company=company, name=new.name)
    if isinstance(entry, LeadStatus):
        entry.meaning = new.meaning
    entry.full_clean(exclude=["company", "code"])
    added = add_entry(entry=entry)
    return added.code if isinstance(added, LeadType) else added.pk


def _add_choices(
    lead_import: LeadImport, name: str, entries: Sequence[NewEntry]
) -> Iterator[str]:
    """Add choices to a custom field, after those that it has. Returns their keys."""
    key = name.removeprefix(CUSTOM)
    subject = object_of(lead_import).custom_subject
    field = CustomField.objects.of(lead_import.company, subject).get(key=key)
    room = CHOICES_AT_MOST - len(field.choices)
    _require_room(f"choices to “{field}”", len(entries), room)
    labels = [("", entry.name) for entry in entries]
    known = set(field.labels)
    offered = [
        (each["key"], each["label"])
        for each in field.choices
        if not each["is_archived"]
    ]
    change_field(field=field, fields=[], labels=[*offered, *labels])
    added = {label: key for key, label in field.labels.items() if key not in known}
    return (added[entry.name] for entry in entries)
