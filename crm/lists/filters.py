"""The filters of lists: one set for each list, whether it is its page, a saved view, an export or the API that asks.

Filters go in the URL. The search text of a page does not (`services/searches.py`), nor does anything else about a
person: filters that may name one are for the API alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from django_filters.fields import ChoiceField, ModelChoiceField, ModelChoiceIterator
from drf_spectacular.utils import extend_schema_field

from crm.lists.custom_fields import PREFIX, custom_filters
from crm.models import ApiKey, Company, Lead, LeadType, Membership, SavedView, Tag, User
from crm.models.bidi import without_bidi_controls
from crm.models.company import start_of
from crm.models.people import company_people
from crm.models.picklist import PicklistQuerySet
from crm.models.validators import MAX_ID

if TYPE_CHECKING:
    from crm.lists.definition import List

SEARCH: Final = "search"
SOURCES_OFFERED: Final = 50
YES_OR_NO: Final = [("True", "Yes"), ("False", "No")]
IN_JSON: Final = {"true": "True", "false": "False"}
GONE: Final = "a custom field that is not in use"
EXPIRED: Final = "a search that has expired or is not yours"
VIEW_IS_BROKEN: Final = (
    "A filter of this view no longer works: {}. Change the view, or choose another."
)
NO_MOMENT: Final = "Enter a date such as 2027-01-31, or a time with its offset such as 2027-01-31T09:30:00Z."
ID_IN_SCHEMA: Final = {"type": "integer", "minimum": 1, "maximum": MAX_ID}


class FilterRequest(Protocol):
    """What filters need from a request: who asks, and so whose statuses, tags and colleagues can be chosen."""

    @property
    def membership(self) -> Membership | ApiKey: ...


# The building blocks of filter sets


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


class ViewFilter(IdFilter):
    """The id of a saved view, which finds the rows that its filters find on the page.

    One that the caller doesn't see matches nothing. Raises ValidationError if a filter of it no longer works.
    """

    def filter(self, rows: QuerySet[Any], pk: int | None) -> QuerySet[Any]:
        if pk is None:
            return rows
        asked: ListFilter = self.parent
        views = SavedView.objects.visible_to(asked.request.membership)
        view = views.filter(pk=pk, list=asked.definition.key).first()
        if view is None:
            return rows.none()
        found = asked.definition.filtered(
            view.filters, request=asked.request, rows=rows
        )
        if found.broken:
            raise ValidationError(
                {"view": VIEW_IS_BROKEN.format(", ".join(found.reasons))}
            )
        matching: QuerySet[Any] = found.qs
        return matching


def unfiltered(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Return all rows: the method of a filter whose value is used elsewhere."""
    return rows


# What can be chosen


def tags(request: FilterRequest) -> PicklistQuerySet[Tag]:
    return Tag.objects.for_company(request.membership.company)


def colleagues(request: FilterRequest) -> QuerySet[User]:
    """The members of the company, past and present."""
    return company_people(request.membership.company)


def type_choices(company: Company) -> list[tuple[str, str]]:
    return [(each.code, str(each)) for each in LeadType.objects.for_company(company)]


def source_choices(company: Company, asked: str) -> list[tuple[str, str]]:
    """The choices of a source. Leads may have more than are offered, so `asked` is always among the choices if any lead
    has it.
    """
    sources = {*sources_of(company)}
    if asked and "\0" not in asked and asked not in sources:
        sources |= {
            *Lead.objects.for_company(company)
            .filter(source=asked)
            .values_list("source", flat=True)[:1]
        }
    return [
        (source, without_bidi_controls(source))
        for source in sorted(sources, key=str.casefold)
    ]


# Jumps from one source to the next in the index: DISTINCT would read every lead. Erased leads have no source.
SOURCES: Final = """
WITH RECURSIVE found (source) AS (
    SELECT min(source) FROM crm_lead WHERE company_id = %s AND source > ''
    UNION ALL
    SELECT (SELECT min(source) FROM crm_lead WHERE company_id = %s AND source > found.source)
    FROM found WHERE found.source IS NOT NULL
)
(SELECT source FROM found WHERE source IS NOT NULL LIMIT %s)
UNION SELECT name FROM crm_leadsource WHERE company_id = %s
"""


def sources_of(company: Company) -> list[str]:
    """The sources of the company's list, and the first SOURCES_OFFERED of its leads by alphabet. One query."""
    with connection.cursor() as cursor:
        cursor.execute(SOURCES, [company.pk, company.pk, SOURCES_OFFERED, company.pk])
        return [source for (source,) in cursor.fetchall()]


# The filter set of a list


class ListFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The search and the filters of a list, including filters by the company's custom fields.

    `recall` returns the search text for its key in a URL, or "" if there is none. `broken` has the filters that no
    longer work, by their names in the URL: the value is invalid, or its row is gone. They match no row: ignoring them
    would show more rows than were asked for.

    `for_api`: with the filters of `api_only`, which are not on the page: they may name a person, or are for programs.
    """

    api_only: ClassVar[frozenset[str]] = frozenset()
    is_searchable: ClassVar[bool] = True

    def __init__(
        self,
        data: Mapping[str, str],
        *,
        definition: "List",
        request: FilterRequest,
        recall: Callable[[str], str],
        for_api: bool,
        **kwargs: Any,
    ) -> None:
        self.definition, self.company = definition, request.membership.company
        data = dict(data.items())
        has_custom = not for_api or any(name.startswith(PREFIX) for name in data)
        self.custom_fields = (
            definition.custom_fields(self.company) if has_custom else []
        )
        self.custom = custom_filters(self.custom_fields)
        asked = [name for name in self.text_names if data.get(name)]
        for name in asked:
            data[name] = recall(data[name])
        self.search = data.get(SEARCH, "") if self.is_searchable else ""
        self.broken = {name: EXPIRED for name in asked if not data[name]}
        gone = [
            name
            for name in data
            if name.startswith(PREFIX) and name not in self.custom and data[name]
        ]
        self.broken |= dict.fromkeys(gone, GONE)
        super().__init__(data, request=request, **kwargs)
        self.filters |= self.custom
        self.set_choices(for_api=for_api)
        for name in () if for_api else self.api_only:
            del self.filters[name]
        for field in self.form.fields.values():
            if isinstance(field, DayField):
                field.takes_moments = for_api
        self.broken |= {name: str(self.form[name].label) for name in self.form.errors}

    def set_choices(self, *, for_api: bool) -> None:
        """Set the choices that depend on the company, and remove filters that have nothing to choose from."""

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self.broken:
            return rows.none()
        found: QuerySet[Any] = super().filter_queryset(rows)
        return self.searched(found) if self.search else found

    def searched(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows with every word of `search`."""
        raise NotImplementedError

    @property
    def text_names(self) -> list[str]:
        """The names of the search and of filters by a text: what is typed there may be about a person."""
        texts = [name for name, each in self.custom.items() if each.is_text]
        return [SEARCH, *texts] if self.is_searchable else texts

    @property
    def page_names(self) -> list[str]:
        """The names of the filters that the page has."""
        return [
            name
            for name in (*self.base_filters, *self.custom)
            if name not in self.api_only
        ]

    @property
    def reasons(self) -> list[str]:
        """Why filters no longer work, each reason once."""
        return list(dict.fromkeys(self.broken.values()))

    @property
    def has_any(self) -> bool:
        """True if the rows are narrowed, or would be by a filter that no longer works."""
        return bool(self.broken) or any(
            self.data.get(name) for name in (SEARCH, *self.filters)
        )

    def rows_of(self, name: str) -> QuerySet[Any]:
        """The rows that a `RowFilter` offers, read once."""
        rows: QuerySet[Any] = self.form.fields[name].queryset
        return rows

    def offer_sources(self, name: str) -> None:
        """Set the choices of a filter by source. They are read when they are needed."""
        choices = cache(lambda: source_choices(self.company, self.data.get(name, "")))
        self.filters[name].extra["choices"] = choices


def filters_in_words(names: Iterable[str]) -> list[str]:
    """The filters with these names in the URL, in words."""
    return [name.removeprefix(PREFIX).replace("_", " ").strip() for name in names]
