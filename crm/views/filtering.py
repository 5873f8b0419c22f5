"""Filter forms of lists. They are posted, to keep the search text out of the URL."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse

from crm.accounts.decorators import MemberRequest
from crm.forms.filters import SearchForm
from crm.forms.saved_views import TableColumnsForm
from crm.lists.columns import Column
from crm.lists.definition import List, columns_of
from crm.lists.filters import ListFilter, filters_in_words
from crm.models import SavedView
from crm.selectors.saved_views import Tabs
from crm.services.searches import recall_search, remember_search

SORT, VIEW = "sort", "view"
PLACE: Final = ("after", "before")  # of a page within the list


def filtered_list(request: MemberRequest, listed: List) -> ListFilter:
    """The filter set of the list, as in the URL."""
    return listed.filtered(
        request.GET, request=request, recall=partial(recall_search, request.membership)
    )


def to_filtered_list(request: MemberRequest, listed: List) -> HttpResponseRedirect:
    """Redirect to the list's page with the posted filters in the URL."""
    unfiltered = listed.filtered({}, request=request)
    return to_filtered(
        request, [*unfiltered.page_names, SORT, VIEW], unfiltered.text_names
    )


def kept_in(sort: str, views: Tabs) -> dict[str, str]:
    """What stays in the URL when the filters change."""
    return {SORT: sort, VIEW: str(views.view.pk) if views.view else ""}


def shown_in(request: MemberRequest, filtered: ListFilter) -> dict[str, str]:
    """The filters and the sorting in the URL: what a saved view keeps."""
    names = (*filtered.filters, SORT)
    return {name: request.GET[name] for name in names if request.GET.get(name)}


def chosen_columns(
    request: MemberRequest,
    listed: List,
    view: SavedView | None,
    offered: Sequence[Column],
) -> list[Column]:
    """The columns of the saved view or, without one, those that the member has chosen for the list."""
    chosen = view.column_keys if view else request.membership.columns_of(listed.key)
    return columns_of(chosen, offered)


def columns_context(
    request: MemberRequest, filtered: ListFilter, views: Tabs, sort: str
) -> dict[str, Any]:
    """The columns of a list's page as `shown_columns`, and what its headings and the choice of columns show."""
    listed = filtered.definition
    offered = listed.offered(filtered.company, filtered.custom_fields)
    columns = chosen_columns(request, listed, views.view, offered)
    form = None
    if views.view is None or views.may_change:
        form = TableColumnsForm(shown=columns, offered=offered)
    return {
        "shown_columns": columns,
        "columns": headings(columns, sort),
        "columns_form": form,
    }


def headings(columns: Iterable[Column], sort: str) -> list[tuple[Column, str, str]]:
    """The columns, each with the sorting that a click on it asks for, and the direction in which it sorts now."""
    return [
        (column, column.toggled(sort), column.direction(sort)) for column in columns
    ]


def list_context(
    request: MemberRequest,
    found: ListFilter,
    *,
    unfolding: Sequence[str],
    kept: Mapping[str, str],
) -> dict[str, Any]:
    """The context of a list's page that comes from its filters."""
    return {
        **filter_bar(found.form, unfolding=(*unfolding, *found.custom), kept=kept),
        "search": found.search,
        "broken": found.reasons,
        "without_broken": list_address(
            found.definition.page, query_without(request, (*found.broken, *PLACE))
        ),
        "is_narrowed": found.has_any,
    }


def to_filtered(
    request: MemberRequest, names: Iterable[str], texts: Iterable[str] = ()
) -> HttpResponseRedirect:
    """Redirect to this page with the posted fields, unless empty, in the URL: the search and `texts` only as keys."""
    query = {name: request.POST[name] for name in names if request.POST.get(name)}
    for name in dict.fromkeys(("search", *texts)):
        if key := _key_of(request, query.pop(name, "") or request.POST.get(name, "")):
            query[name] = key
    return redirect(f"{request.path}?{urlencode(query)}" if query else request.path)


def _key_of(request: MemberRequest, text: str) -> str:
    """The key of the search text; "" if the text is empty or invalid."""
    form = SearchForm({"search": text})
    if not form.is_valid():
        messages.error(request, str(form.errors["search"][0]))
    found = form.cleaned_data.get("search", "")
    return remember_search(request.membership, found) if found else ""


def filter_bar(
    form: forms.BaseForm,
    *,
    unfolding: Sequence[str] = (),
    kept: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The context of `_parts/filters.html`. The fields named in `unfolding` are folded unless one of them is in use."""
    visible = form.visible_fields()
    more = [field for field in visible if field.name in unfolding]
    return {
        "form": form,
        "fields": [field for field in visible if field not in more],
        "more": more,
        "is_more_open": any(field.value() for field in more),
        "kept": kept or {},
    }


def filters_in_use(request: MemberRequest, filters: Iterable[str]) -> list[str]:
    """The search and the filters in the URL, in words. Their values are left out: they may be about a person."""
    return filters_in_words(
        name for name in ("search", *filters) if request.GET.get(name)
    )


def query_without(request: MemberRequest, names: Iterable[str]) -> str:
    """The query string of this URL without these parameters."""
    query = request.GET.copy()
    for name in names:
        query.pop(name, None)
    return query.urlencode()


def list_address(page: str, query: str) -> str:
    """The address of the page of a list with this query string."""
    return f"{reverse(page)}?{query}" if query else reverse(page)
