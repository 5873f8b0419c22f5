"""Filters by custom field: a text contains, a number or date is in a range, a choice is this one."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from crm.forms.custom_fields import PREFIX
from crm.models import CustomField, FieldType
from crm.models.custom_field import FREE_TEXT
from crm.models.custom_lookups import between, contains_text, holds
from crm.models.custom_values import form_field

# These can't be part of a key: keys have no two underscores in a row.
FROM, UNTIL = "__from", "__until"
RANGES: Final = (FieldType.NUMBER, FieldType.MONEY, FieldType.DATE)


class CustomFilter(django_filters.Filter):  # type: ignore[misc]
    """A filter with this form field and this condition. `is_text`: its value may be about a person."""

    def __init__(self, field: forms.Field, condition: Callable[[Any], Q], *, is_text: bool = False) -> None:
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
            name + FROM: CustomFilter(_bound(field, "from"), lambda value: between(field, value, None)),
            name + UNTIL: CustomFilter(_bound(field, "until"), lambda value: between(field, None, value)),
        }
    if field.type in FREE_TEXT:
        text = forms.CharField(label=str(field), required=False, max_length=100)
        return {name: CustomFilter(text, lambda value: contains_text(field, value), is_text=True)}
    if field.type == FieldType.YES_NO:
        choices = [("", "Either"), ("yes", "Yes"), ("no", "No")]
        return {name: CustomFilter(_choice(field, choices), lambda value: holds(field, value == "yes"))}
    choices = [("", "Any"), *field.offered_beside(field.labels)]
    return {name: CustomFilter(_choice(field, choices), lambda value: holds(field, value))}


def _bound(field: CustomField, which: str) -> forms.Field:
    bound = form_field(field, is_required=False)
    bound.label = f"{field} {which}"
    bound.help_text = ""
    return bound


def _choice(field: CustomField, choices: list[tuple[str, str]]) -> forms.Field:
    return forms.ChoiceField(label=str(field), required=False, choices=choices)
