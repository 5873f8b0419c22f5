"""Which fields of two leads may be chosen in a merge, and what the kept lead then has."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from crm.models.lead import Lead

# The fields to choose, each with its columns.
CHOSEN: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("first_name", "last_name"),
    "email": ("email",),
    "phone": ("phone",),
    "organisation": ("organisation",),
    "title": ("title",),
    "source": ("source",),
    "type": ("type",),
    "status": ("status_id",),
    "owner": ("owner_id",),
}
KNOWN_BY: Final = (*CHOSEN["name"], "email")  # a lead has at least one of these
LABELS: Final = {
    "name": "Name",
    "email": "E-mail",
    "phone": "Phone",
    "organisation": "Organisation",
    "title": "Job title",
    "source": "Source",
    "type": "Type",
    "status": "Status",
    "owner": "Owner",
}
SHARING: Final = "share_with_ad_platforms"
NOTES: Final = "notes"
CUSTOM: Final = "custom."
NOTES_APART: Final = "\n\n"


def value_of(lead: Lead, column: str) -> Any:
    """The value of a column, or of a custom field, named "custom." and its key; None for an empty custom field."""
    if column.startswith(CUSTOM):
        return lead.custom.get(column.removeprefix(CUSTOM))
    return getattr(lead, column)


def columns_of(field: str) -> tuple[str, ...]:
    return CHOSEN.get(field, (field,))


def field_of(column: str) -> str:
    for field, columns in CHOSEN.items():
        if column in columns:
            return field
    return column


def is_empty(lead: Lead, field: str) -> bool:
    return all(value_of(lead, column) in (None, "") for column in columns_of(field))


def differs(kept: Lead, gone: Lead, field: str) -> bool:
    return any(
        value_of(kept, column) != value_of(gone, column) for column in columns_of(field)
    )


def result_of(kept: Lead, gone: Lead, *, taken: Collection[str]) -> dict[str, Any]:
    """The columns of the kept lead that a merge writes, with their values. `taken` are the fields to take from `gone`.

    The background is that of both. An opt-out is the person's, whichever lead has it.
    """
    changed = [field for field in taken if differs(kept, gone, field)]
    values = {
        column: value_of(gone, column)
        for field in changed
        for column in columns_of(field)
    }
    values[SHARING] = kept.share_with_ad_platforms and gone.share_with_ad_platforms
    if gone.notes not in ("", kept.notes):
        values[NOTES] = NOTES_APART.join(filter(None, (kept.notes, gone.notes)))
    return values


def as_columns(lead: Lead, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as an update of the lead writes them, with its whole column of custom values."""
    columns, custom = {}, {}
    for name, value in values.items():
        if name.startswith(CUSTOM):
            custom[name.removeprefix(CUSTOM)] = value
        else:
            columns[name] = value
    if custom:
        all_values = lead.custom | custom
        columns["custom"] = {
            key: value for key, value in all_values.items() if value is not None
        }
    return columns


def labels_of(columns: Iterable[str], custom_names: Mapping[str, str]) -> list[str]:
    """What people call these columns, each field once."""
    names = {**LABELS, SHARING: "Sharing with ad platforms", NOTES: "Background"}
    names |= {f"{CUSTOM}{key}": name for key, name in custom_names.items()}
    labels = (names.get(field_of(column), column) for column in columns)
    return list(dict.fromkeys(labels))
