"""The changes of leads and deals in words: "Status: New → Qualified"."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from django.db.models import Model

from crm.formatting import money
from crm.models import Change, ChangedField, Lead, LeadStatus, LostReason, Stage, User
from crm.models.audit_entries import name_of

ARROW: Final = " → "
NOBODY: Final = "nobody"
NONE: Final = "none"
REFERENCES: Final[Mapping[str, type[Model]]] = {
    ChangedField.STATUS: LeadStatus,
    ChangedField.STAGE: Stage,
    ChangedField.OWNER: User,
    ChangedField.LEAD: Lead,
    ChangedField.LOST_REASON: LostReason,
    ChangedField.MERGE: Lead,
    ChangedField.PERSON: Lead,
}
GONE: Final = "(deleted)"


def described(changes: Sequence[Change]) -> dict[int, str]:
    """Each change in a few words, by its key. One query for each kind of row that the changes refer to."""
    names = {
        field: _names(model, field, changes) for field, model in REFERENCES.items()
    }
    return {change.pk: _described(change, names) for change in changes}


def _names(model: type[Model], field: str, changes: Iterable[Change]) -> dict[str, str]:
    keys = {
        key
        for change in changes
        if change.field == field
        for key in (change.old, change.new)
        if key
    }
    rows: Iterable[Any] = model._base_manager.filter(pk__in=keys) if keys else ()
    return {
        str(row.pk): name_of(row) if isinstance(row, User) else str(row) for row in rows
    }


def _described(change: Change, names: Mapping[str, Mapping[str, str]]) -> str:
    # Written by a process of a later version, during a deploy.
    if change.field not in ChangedField.values:
        return "Changed"
    field = ChangedField(change.field)
    if field == ChangedField.EMAIL:
        return "E-mail address changed"
    if field == ChangedField.SHARING:
        return f"{field.label} switched {change.new}"
    if field == ChangedField.PERSON:
        name = names[field].get(change.new or change.old, GONE)
        if change.new:
            return f"Added {name} to the deal"
        return f"Removed {name} from the deal"
    old, new = (_value(field, value, names) for value in (change.old, change.new))
    return f"{'Undone: ' if change.is_undo else ''}{field.label}: {old}{ARROW}{new}"


def _value(
    field: ChangedField, value: str, names: Mapping[str, Mapping[str, str]]
) -> str:
    if field == ChangedField.AMOUNT:
        amount, _, currency = value.partition(" ")
        return money(Decimal(amount), currency) if amount else NONE
    if not value:
        return NONE if field == ChangedField.LOST_REASON else NOBODY
    return names[field].get(value, GONE)
