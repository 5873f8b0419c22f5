"""The filters of lists: one set for each list, whether it is its page, a saved view, an export or the API that asks.

Filters go in the URL. The search text of a page does not (`services/searches.py`), nor does anything else about a
person: filters that may name one are for the API alone.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from crm.lists.custom_fields import PREFIX, custom_filters
from crm.lists.filter_choices import FilterRequest, source_choices
from crm.lists.filter_types import DayField, IdFilter
from crm.models import CustomField, SavedView

if TYPE_CHECKING:
    from crm.lists.definition import List

SEARCH: Final = "search"
GONE: Final = "a custom field that is not in use"
EXPIRED: Final = "a search that has expired or is not yours"
VIEW_IS_BROKEN: Final = (
    "A filter of this view no longer works: {}. Change the view, or choose another."
)


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
        self.definition = definition
        self.company = request.membership.company
        values = dict(data.items())
        self.custom_fields = self._custom_fields(values, for_api=for_api)
        self.custom = custom_filters(self.custom_fields)
        self.broken = self._recall_texts(values, recall) | self._gone_fields(values)
        self.search = values.get(SEARCH, "") if self.is_searchable else ""
        super().__init__(values, request=request, **kwargs)
        self.filters |= self.custom
        self.set_choices(for_api=for_api)
        if for_api:
            self._accept_moments()
        else:
            self._remove_api_only()
        self.broken |= {name: str(self.form[name].label) for name in self.form.errors}

    def _custom_fields(
        self, values: Mapping[str, str], *, for_api: bool
    ) -> list[CustomField]:
        """The company's custom fields. The API reads them only if one of them is asked for."""
        if for_api and not any(name.startswith(PREFIX) for name in values):
            return []
        return self.definition.custom_fields(self.company)

    def _recall_texts(
        self, values: dict[str, str], recall: Callable[[str], str]
    ) -> dict[str, str]:
        """Replace the keys of texts in `values` by the texts. Returns those that have expired as `broken` has them."""
        expired = {}
        for name in self.text_names:
            if not values.get(name):
                continue
            values[name] = recall(values[name])
            if not values[name]:
                expired[name] = EXPIRED
        return expired

    def _gone_fields(self, values: Mapping[str, str]) -> dict[str, str]:
        """The filters by custom fields that are no longer in use, as `broken` has them."""
        return {
            name: GONE
            for name, value in values.items()
            if value and name.startswith(PREFIX) and name not in self.custom
        }

    def _accept_moments(self) -> None:
        for field in self.form.fields.values():
            if isinstance(field, DayField):
                field.takes_moments = True

    def _remove_api_only(self) -> None:
        for name in self.api_only:
            del self.filters[name]

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


def filters_in_words(names: Iterable[str]) -> list[str]:
    """The filters with these names in the URL, in words."""
    return [name.removeprefix(PREFIX).replace("_", " ").strip() for name in names]
