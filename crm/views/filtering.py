"""Filter forms of lists. They are posted, to keep the search text out of the URL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse

from crm.accounts.decorators import MemberRequest
from crm.forms.filters import SearchForm, filters_in_words
from crm.services.searches import remember_search


def to_filtered(request: MemberRequest, names: Iterable[str], texts: Iterable[str] = ()) -> HttpResponseRedirect:
    """Redirect to this page with the posted fields, unless empty, in the URL: the search and `texts` only as keys."""
    query = {name: request.POST[name] for name in names if request.POST.get(name)}
    for name in ("search", *texts):
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
    form: forms.BaseForm, *, unfolding: Sequence[str] = (), kept: Mapping[str, str] | None = None
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
    return filters_in_words(name for name in ("search", *filters) if request.GET.get(name))


def query_without(request: MemberRequest, names: Iterable[str]) -> str:
    """The query string of this URL without these parameters."""
    query = request.GET.copy()
    for name in names:
        query.pop(name, None)
    return query.urlencode()


def list_address(page: str, query: str) -> str:
    """The address of the page of a list with this query string."""
    return f"{reverse(page)}?{query}" if query else reverse(page)
