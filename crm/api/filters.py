"""Filters of the API: those of a list, in a URL or in the body of a request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import BaseForm
from django.utils import timezone
from django_filters import FilterSet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from crm.api.authentication import Caller
from crm.api.fields import Text
from crm.api.pagination import ORDERING, orders_of
from crm.forms.filters import SearchForm
from crm.lists.custom_fields import PREFIX
from crm.lists.definition import List
from crm.lists.filters import SEARCH, ListFilter

LONGEST_VALUE: Final = 200  # characters
NO_FILTER: Final = "There is no such filter."
NOT_KEPT: Final = "A view doesn't keep what is searched for: that is personal data."
Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class ApiFilterRequest:
    """What filters have to know of a request. An API key has a company as a member has."""

    membership: Caller


class FilterBackend(DjangoFilterBackend):  # type: ignore[misc]
    """Filters a list by the parameters of the URL. An invalid value is a 400, and so is an empty one: it would match
    every row.
    """

    def get_filterset_class(
        self, view: Any, queryset: Any = None
    ) -> type[FilterSet] | None:
        listed: List | None = getattr(view, "listed", None)
        return listed.filters if listed else super().get_filterset_class(view, queryset)

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: Any
    ) -> QuerySet[Any]:
        kind = self.get_filterset_class(view, queryset)
        if kind is None or view.action != "list":
            return queryset
        asked = {
            name: value
            for name, value in request.query_params.items()
            if is_filter(view, name)
        }
        if issubclass(kind, ListFilter):
            found = view.listed.filtered(
                asked,
                request=ApiFilterRequest(view.caller),
                rows=queryset,
                for_api=True,
            )
            check_filters(found, asked)
            return filtered(found)
        plain = kind(asked, queryset=queryset, request=request)
        check_filters(plain, asked)
        rows: QuerySet[Any] = plain.qs
        return rows


def is_filter(view: Any, name: str) -> bool:
    """True for the name of a parameter that filters the view's list."""
    listed: List | None = getattr(view, "listed", None)
    if listed is None:
        return name in getattr(
            getattr(view, "filterset_class", None), "base_filters", ()
        )
    is_custom = listed.subject is not None and name.startswith(PREFIX)
    return (
        is_custom
        or name in listed.filters.base_filters
        or (name == SEARCH and listed.filters.is_searchable)
    )


def list_parameters(listed: List) -> list[OpenApiParameter]:
    """The parameters of a list for the OpenAPI schema, next to its filters and its pages."""
    found = []
    if listed.filters.is_searchable:
        text = {"type": "string", "maxLength": 100}
        found.append(
            OpenApiParameter(
                SEARCH,
                text,
                description="Rows with every word, as on the page of the list.",
            )
        )
    if orders := orders_of(listed):
        keys = [minus + key for key in orders for minus in ("", "-")]
        about = "Sorts by this; newest first without it. A - in front of it sorts the other way round."
        found.append(
            OpenApiParameter(
                ORDERING, {"type": "string", "enum": keys}, description=about
            )
        )
    return found


class ListFiltersField(serializers.DictField):
    """The filters of a list by their names in the address of its page. An empty value would match every row."""

    child = Text(max_length=LONGEST_VALUE)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            # Errors repeat the names, but can't contain a lone surrogate.
            data = {
                str(name).encode("utf-8", "replace").decode(): value
                for name, value in data.items()
            }
        return super().to_internal_value(data)


def list_filter(
    listed: List,
    caller: Caller,
    filters: Mapping[str, str],
    rows: QuerySet[Any] | None = None,
) -> ListFilter:
    """The filter set of the list's page. Search texts are in `filters` as they are, not as keys."""
    return listed.filtered(filters, request=ApiFilterRequest(caller), rows=rows)


def filtered(found: ListFilter) -> QuerySet[Any]:
    """The rows that the filter finds. Its days are in the company's time zone.

    Raises ValidationError for a saved view that no longer works.
    """
    with timezone.override(found.company.time_zone):
        try:
            rows: QuerySet[Any] = found.qs
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
    return rows


def check_filters(
    found: FilterSet, names: Iterable[str], *, keeps_texts: bool = True
) -> None:
    """Raise ValidationError for an unknown filter or an invalid or empty value: ignoring it would match more rows.

    `keeps_texts`: search texts are allowed.
    """
    texts = found.text_names if isinstance(found, ListFilter) else []
    errors: Errors = {}
    for name in names:
        if name in texts and not keeps_texts:
            errors[name] = [NOT_KEPT]
        elif name == SEARCH and name in texts:
            errors |= _messages(SearchForm({SEARCH: found.data[SEARCH]}), name)
        elif name not in found.filters:
            errors[name] = [NO_FILTER]
        else:
            errors |= _messages(found.form, name)
    if errors:
        raise serializers.ValidationError(errors)


def _messages(form: BaseForm, name: str) -> Errors:
    if name in form.errors:
        return {name: [str(message) for message in form.errors[name]]}
    is_empty = form.cleaned_data[name] in (None, "")
    return (
        {name: [str(form.fields[name].error_messages["required"])]} if is_empty else {}
    )
