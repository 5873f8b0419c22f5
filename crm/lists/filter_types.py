"""The kinds of filter that a list can have: a row, a text, yes or no, a day, an id."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from django_filters.fields import ChoiceField, ModelChoiceField, ModelChoiceIterator
from drf_spectacular.utils import extend_schema_field

from crm.models.company import start_of
from crm.models.external_id import LONGEST, NOT_AN_EXTERNAL_ID, PATTERN, Reference
from crm.models.validators import MAX_ID

YES_OR_NO: Final = [("True", "Yes"), ("False", "No")]
IN_JSON: Final = {"true": "True", "false": "False"}
NO_MOMENT: Final = "Enter a date such as 2027-01-31, or a time with its offset such as 2027-01-31T09:30:00Z."
ID_IN_SCHEMA: Final = {"type": "integer", "minimum": 1, "maximum": MAX_ID}


class RowIterator(ModelChoiceIterator):  # type: ignore[misc]
    """The choices among rows. The field's queryset keeps them: a page that shows them twice reads them once."""

    def __iter__(self) -> Iterator[Any]:
        if self.field.empty_label is not None:
            yield ("", self.field.empty_label)
        if self.field.null_label is not None:
            yield (self.field.null_value, self.field.null_label)
        yield from map(self.choice, self.queryset)


class RowField(ModelChoiceField):  # type: ignore[misc]
    iterator = RowIterator


@extend_schema_field(ID_IN_SCHEMA)
class RowFilter(django_filters.ModelChoiceFilter):  # type: ignore[misc]
    """A choice among rows of the company, by id."""

    field_class = RowField


@extend_schema_field({"oneOf": [ID_IN_SCHEMA, {"type": "string", "enum": ["null"]}]})
class OptionalRowFilter(RowFilter):
    """A choice among rows of the company, or "null" for none of them."""


@extend_schema_field({"type": "string", "maxLength": 200})
class TextChoiceFilter(django_filters.ChoiceFilter):  # type: ignore[misc]
    """A choice among the company's own texts. "null" is one like any other here: elsewhere it stands for NULL."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(null_value="\0", **kwargs)


class YesNoField(ChoiceField):  # type: ignore[misc]
    """Yes or no, as pages send it or in the words of JSON."""

    def to_python(self, value: Any) -> str:
        text: str = super().to_python(value)
        return IN_JSON.get(text, text)

    def prepare_value(self, value: Any) -> Any:
        return IN_JSON.get(value, value)


@extend_schema_field({"type": "boolean"})
class YesNoFilter(django_filters.ChoiceFilter):  # type: ignore[misc]
    field_class = YesNoField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=YES_OR_NO, empty_label="Either", **kwargs)


class HasTextFilter(YesNoFilter):
    """Rows whose field has a text, or is empty."""

    def filter(self, rows: QuerySet[Any], has_text: str) -> QuerySet[Any]:
        if not has_text:
            return rows
        none = {self.field_name: ""}
        return rows.exclude(**none) if has_text == "True" else rows.filter(**none)


class DayField(forms.DateField):
    """A day as browsers send it. `takes_moments`: also a time with its offset."""

    takes_moments = False

    def to_python(self, value: Any) -> date | None:
        if self.takes_moments and isinstance(value, str) and "T" in value:
            return self._moment(value)
        return super().to_python(value)

    def _moment(self, value: str) -> datetime:
        try:
            moment = parse_datetime(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ValidationError(NO_MOMENT)
        return moment


@extend_schema_field(
    {
        "anyOf": [
            {"type": "string", "format": "date"},
            {"type": "string", "format": "date-time"},
        ],
        "description": "A day in the company's time zone, or a time with its offset.",
    }
)
class DayFilter(django_filters.DateFilter):  # type: ignore[misc]
    field_class = DayField

    def __init__(self, field_name: str, label: str) -> None:
        widget = forms.DateInput({"type": "date"})
        super().__init__(
            field_name=field_name,
            label=label,
            widget=widget,
            input_formats=["%Y-%m-%d"],
        )


class SinceFilter(DayFilter):
    """Rows since a moment or the start of a day, in the company's time zone. Unlike `__date`, this can use an index."""

    def filter(self, rows: QuerySet[Any], since: date | None) -> QuerySet[Any]:
        if since is None or since == date.min:  # its start in UTC may be out of range
            return rows
        moment = since if isinstance(since, datetime) else start_of(since)
        return rows.filter(**{f"{self.field_name}__gte": moment})


class UntilFilter(DayFilter):
    """Rows before a moment or until the end of a day."""

    def filter(self, rows: QuerySet[Any], until: date | None) -> QuerySet[Any]:
        if until is None or until == date.max:
            return rows
        moment = (
            until
            if isinstance(until, datetime)
            else start_of(until + timedelta(days=1))
        )
        return rows.filter(**{f"{self.field_name}__lt": moment})


@extend_schema_field(ID_IN_SCHEMA)
class IdFilter(django_filters.Filter):  # type: ignore[misc]
    """A row's id, which is not looked up: one that no row has, or only another company's, matches nothing."""

    field_class = forms.IntegerField

    def __init__(self, name: str) -> None:
        label = name.replace("_", " ").capitalize()
        super().__init__(
            field_name=f"{name}_id", label=label, min_value=1, max_value=MAX_ID
        )


@extend_schema_field(
    {
        "type": "string",
        "maxLength": LONGEST,
        "pattern": f"^{PATTERN}$",
        "description": "The one with this id in another system, such as hubspot:12345.",
    }
)
class ExternalIdFilter(django_filters.CharFilter):  # type: ignore[misc]
    """The lead or deal that has this id in another system, whose name is before the colon."""

    def __init__(self) -> None:
        messages = {"required": NOT_AN_EXTERNAL_ID, "invalid": NOT_AN_EXTERNAL_ID}
        super().__init__(
            label="External id",
            max_length=LONGEST,
            validators=[RegexValidator(rf"\A{PATTERN}\Z", NOT_AN_EXTERNAL_ID)],
            error_messages=messages,
        )

    def filter(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        if not text:
            return rows
        named = rows.model._meta.get_field(
            "external_ids"
        ).related_model.objects.for_company(self.parent.company)
        found = named.filter(**Reference.parse(text)._asdict())
        return rows.filter(pk__in=found.values(rows.model._meta.model_name))


def unfiltered(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Return all rows: the method of a filter whose value is used elsewhere."""
    return rows
