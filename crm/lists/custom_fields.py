"""What custom fields add to a list: filters, and columns on the page and in a file.

Of the filters, a text contains, a number or date is in a range, a choice is this one.
"""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any, Final

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.text import Truncator

from crm.formatting import day, money
from crm.lists.columns import CUSTOM, Column, FileColumn
from crm.models import Company, CustomField, Deal, FieldType, Lead
from crm.models.bidi import without_bidi_controls
from crm.models.custom_field import FREE_TEXT
from crm.models.custom_lookups import between, contains_text, holds
from crm.models.custom_values import Value, form_field

# Begins the name of a custom field's filter, and of its field in a form.
PREFIX: Final = "custom_"
# These can't be part of a key: keys have no two underscores in a row.
FROM, UNTIL = "__from", "__until"
RANGES: Final = (FieldType.NUMBER, FieldType.MONEY, FieldType.DATE)
LONGEST_CELL: Final = 80  # characters
BETWEEN: Final = ", "  # tags or choices in a cell of a file; no tag has a comma


class CustomFilter(django_filters.Filter):  # type: ignore[misc]
    """A filter with this form field and this condition. `is_text`: its value may be about a person."""

    def __init__(
        self,
        field: forms.Field,
        condition: Callable[[Any], Q],
        *,
        is_text: bool = False,
    ) -> None:
        super().__init__()
        self._field, self._condition, self.is_text = field, condition, is_text

    def filter(self, rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return rows.filter(self._condition(value)) if value not in (None, "") else rows


def custom_filters(fields: Iterable[CustomField]) -> dict[str, CustomFilter]:
    """The filters of these fields, by their names in the URL."""
    return {name: each for field in fields for name, each in _filters(field).items()}


def _filters(field: CustomField) -> dict[str, CustomFilter]:
    name = PREFIX + field.key
    if field.type in RANGES:
        return {
            name + FROM: CustomFilter(
                _bound(field, "from"), lambda value: between(field, value, None)
            ),
            name + UNTIL: CustomFilter(
                _bound(field, "until"), lambda value: between(field, None, value)
            ),
        }
    if field.type in FREE_TEXT:
        text = forms.CharField(label=str(field), required=False, max_length=100)
        return {
            name: CustomFilter(
                text, lambda value: contains_text(field, value), is_text=True
            )
        }
    if field.type == FieldType.YES_NO:
        choices = [("", "Either"), ("yes", "Yes"), ("no", "No")]
        return {
            name: CustomFilter(
                _choice(field, choices), lambda value: holds(field, value == "yes")
            )
        }
    choices = [("", "Any"), *field.offered_beside(field.labels)]
    return {
        name: CustomFilter(_choice(field, choices), lambda value: holds(field, value))
    }


def _bound(field: CustomField, which: str) -> forms.Field:
    bound = form_field(field, is_required=False)
    bound.label = f"{field} {which}"
    bound.help_text = ""
    return bound


def _choice(field: CustomField, choices: list[tuple[str, str]]) -> forms.Field:
    return forms.ChoiceField(label=str(field), required=False, choices=choices)


def custom_columns(company: Company, fields: Iterable[CustomField]) -> list[Column]:
    """A column for each field. Those of listed fields are shown by default."""
    return [_column(company, field) for field in fields]


def _column(company: Company, field: CustomField) -> Column:
    def read(row: Lead | Deal) -> str:
        return Truncator(as_text(field, row.custom.get(field.key), company)).chars(
            LONGEST_CELL
        )

    return Column(
        f"{CUSTOM}{field.key}", str(field), read=read, is_default=field.is_listed
    )


def as_text(field: CustomField, value: Value | None, company: Company) -> str:
    """The value as people read it. Amounts are in the company's currency."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list):
        return ", ".join(
            without_bidi_controls(field.labels.get(key, key)) for key in value
        )
    match field.type:
        case FieldType.CHOICE:
            return without_bidi_controls(field.labels.get(value, value))
        case FieldType.DATE:
            return day(date.fromisoformat(value))
        case FieldType.MONEY:
            return money(Decimal(value), company.currency)
        case FieldType.NUMBER:
            return grouped_number(value)
    return value


def grouped_number(text: str) -> str:
    """The number with commas between thousands."""
    return f"{Decimal(text):,}"


def custom_file_columns(fields: Iterable[CustomField]) -> list[FileColumn]:
    """A column of a file for each field."""
    return [
        FileColumn(field.name, _reader(field), CUSTOM + field.key) for field in fields
    ]


def _reader(field: CustomField) -> Callable[[Lead | Deal], object]:
    return lambda row: _in_file(field, row.custom.get(field.key))


def _in_file(field: CustomField, value: Value | None) -> object:
    if isinstance(value, list):
        return BETWEEN.join(field.labels.get(key, key) for key in value)
    if not isinstance(value, str):
        return value
    match field.type:
        case FieldType.CHOICE:
            return field.labels.get(value, value)
        case FieldType.DATE:
            return date.fromisoformat(value)
        case FieldType.NUMBER | FieldType.MONEY:
            return Decimal(value)
    return value
