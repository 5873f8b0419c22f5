"""Filter forms of lists, which are posted so that the text that is searched for stays out of the URL."""

from collections.abc import Iterable
from urllib.parse import urlencode

from django.contrib import messages

from crm.accounts.decorators import MemberRequest
from crm.forms.filters import SearchForm
from crm.services.searches import remember_search


def filter_query(request: MemberRequest, names: Iterable[str]) -> str:
    """The posted fields as a query string, without empty ones and with a key instead of the search text."""
    form = SearchForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Enter at most 100 characters to search for.")
    text = form.cleaned_data.get("search", "")
    query = {name: request.POST[name] for name in names if request.POST.get(name)}
    if text:
        query["search"] = remember_search(request.membership, text)
    return urlencode(query)
