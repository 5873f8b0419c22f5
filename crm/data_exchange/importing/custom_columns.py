"""Custom fields as columns of a file. Each is named `custom.` and its key, next to the lead's built-in fields."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError

from crm.models import Company, CustomField, FieldSubject, FieldType, Lead, RowProblem
from crm.models.custom_field import FREE_TEXT
from crm.models.custom_values import Value, form_field

CUSTOM: Final = "custom."
YES: Final = frozenset(["yes", "y", "true", "1", "on", "x", "ja", "j", "oui", "o"])
NO: Final = frozenset(["no", "n", "false", "0", "off", "nee", "nein", "non"])
PROBLEMS: Final = {
    FieldType.NUMBER: RowProblem.NOT_A_NUMBER,
    FieldType.MONEY: RowProblem.NOT_A_NUMBER,
    FieldType.DATE: RowProblem.NOT_A_DATE,
    FieldType.YES_NO: RowProblem.NOT_YES_OR_NO,
    FieldType.CHOICE: RowProblem.NOT_A_CHOICE,
    FieldType.CHOICES: RowProblem.NOT_A_CHOICE,
    FieldType.URL: RowProblem.NOT_A_URL,
}
_BETWEEN_CHOICES: Final = re.compile(r"[;,|\n]")


class CellProblem(Exception):
    """The cell has this problem, a `RowProblem`."""


def let_go_of_rows(error: ValidationError) -> None:
    """Delete the error's tracebacks, which refer to all rows of the chunk.

    Django's errors are reference cycles: the rows, 40 MB, would stay in memory until the next garbage collection.
    """
    for each in error.error_list:
        cause: BaseException | None = each
        while cause:
            cause.__traceback__, cause = None, cause.__context__


def custom_columns(company: Company) -> dict[str, CustomField]:
    """The custom fields of leads that a column can be. One query."""
    return {CUSTOM + field.key: field for field in CustomField.objects.of(company, FieldSubject.LEAD).in_use()}


class CellReader:
    """Reads the cells of one custom field. Empty cells of required fields pass: `RowReader.lacks` checks them."""

    def __init__(self, field: CustomField) -> None:
        self._field, self._name = field, CUSTOM + field.key
        self._form_field = form_field(field, is_required=False)  # once: to make one takes longer than to read a cell
        self._keys = {name.casefold(): key for key, label in field.offered for name in (key, label)}

    def __call__(self, cell: str) -> dict[str, Value]:
        """Returns {field name: value}, {} for an empty cell. Raises CellProblem."""
        try:
            value = self._form_field.clean(self._as_in_a_form(cell.strip()))
        except ValidationError as error:
            let_go_of_rows(error)
            raise CellProblem(self._problem(error)) from None
        return {} if value is None else {self._name: value}

    def _as_in_a_form(self, cell: str) -> Any:
        """The cell as a form would send it: choices by key, where files have labels."""
        match self._field.type:
            case FieldType.YES_NO:
                answer = cell.casefold()
                return "yes" if answer in YES else "no" if answer in NO else cell
            case FieldType.CHOICE:
                return self._key(cell)
            case FieldType.CHOICES if cell.casefold() not in self._keys:  # a label may have a comma
                return [self._key(part) for part in _BETWEEN_CHOICES.split(cell) if part.strip()]
            case FieldType.CHOICES:
                return [self._key(cell)]
        return cell

    def _key(self, label: str) -> str:
        return self._keys.get(label.strip().casefold(), label)

    def _problem(self, error: ValidationError) -> RowProblem:
        is_too_long = self._field.type in FREE_TEXT and any(each.code == "max_length" for each in error.error_list)
        return RowProblem.TOO_LONG if is_too_long else PROBLEMS.get(FieldType(self._field.type), RowProblem.NOT_A_TEXT)


# The values of a row by field name. Those of custom fields are on the same level, not in `custom` as on a lead.


def as_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row by attribute of `Lead`, without tags."""
    columns: dict[str, Any] = {}
    for name, value in values.items():
        if name.startswith(CUSTOM):
            columns.setdefault("custom", {})[name.removeprefix(CUSTOM)] = value
        elif name == "status":
            columns["status_id"] = value.pk
        elif name != "tags":
            columns[name] = value
    return columns


def column_names(names: Iterable[str]) -> set[str]:
    """The columns of `Lead` that store these fields."""
    return {"custom" if name.startswith(CUSTOM) else name for name in names}


def value_of(lead: Lead, name: str) -> Any:
    """The lead's value of this field."""
    return lead.custom.get(name.removeprefix(CUSTOM)) if name.startswith(CUSTOM) else getattr(lead, name)


def set_value(lead: Lead, name: str, value: Any) -> None:
    if name.startswith(CUSTOM):
        lead.custom[name.removeprefix(CUSTOM)] = value
    else:
        setattr(lead, name, value)
