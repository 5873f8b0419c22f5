"""The list of leads: finding them, and changing the status of many."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from crm.filters import COLUMNS, LeadFilter, SearchForm, own_leads, sorted_by, statuses
from crm.models import Lead, LeadStatus
from crm.roles import Action
from crm.searches import recall_search, remember_search
from crm.services import change_status
from crm.timeline import outcomes_of_leads
from crm.views.access import MemberRequest, member, own_or_404
from crm.views.outcomes import with_outcomes
from crm.views.shell import back_to

LEADS_PER_PAGE = 25
FILTERS_IN_VIEW = 2
BIGINT_DIGITS = 19


@member(Action.SEE_LEADS)
def leads(request: MemberRequest) -> HttpResponse:
    """The leads, filtered and sorted by the address. The filter form is posted here and becomes an address."""
    if request.method == "POST":
        return redirect(f"{reverse('leads')}?{_address_query(request)}")
    search, sort = recall_search(request.membership, request.GET.get("search", "")), request.GET.get("sort", "")
    everyone = own_leads(request)
    filtered = LeadFilter(request.GET, queryset=everyone, request=request)
    found = sorted_by(filtered.qs.search(search), sort)
    page = Paginator(found, LEADS_PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "crm/lead_list.html",
        {
            "page": page,
            "rows": with_outcomes(page, outcomes_of_leads, request),
            **_filter_fields(filtered),
            "search": search,
            "sort": sort,
            "columns": [(column, column.toggled(sort), column.direction(sort)) for column in COLUMNS],
            "statuses": statuses(request),
            "is_narrowed": bool(search) or any(request.GET.get(name) for name in filtered.filters),
        },
    )


def _filter_fields(filtered: LeadFilter) -> dict[str, Any]:
    """The fields that are always in view, and those that unfold: unfolded already where one of them is in use."""
    fields = list(filtered.form)
    first, more = fields[:FILTERS_IN_VIEW], fields[FILTERS_IN_VIEW:]
    return {"first_filters": first, "more_filters": more, "is_more_open": any(field.value() for field in more)}


def _address_query(request: MemberRequest) -> str:
    """The filter form as a query string without its empty fields, and with a key in the place of the search."""
    form = SearchForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Search for at most 100 letters or digits.")
    text = form.cleaned_data.get("search", "")
    names = [*LeadFilter.base_filters, "sort"]
    query = {name: request.POST[name] for name in names if request.POST.get(name)}
    if text:
        query["search"] = remember_search(request.membership, text)
    return urlencode(query)


@require_POST
@member(Action.EDIT_LEADS)
def lead_bulk_status(request: MemberRequest) -> HttpResponse:
    """Give all ticked leads one status."""
    status = own_or_404(LeadStatus.objects.all(), request, request.POST.get("status"))
    ticked = [pk for pk in request.POST.getlist("lead") if pk.isascii() and pk.isdigit() and len(pk) < BIGINT_DIGITS]
    chosen = Lead.objects.for_company(request.membership.company).filter(pk__in=ticked)
    changed = change_status(leads=chosen, status=status)
    if not ticked:
        messages.warning(request, "Tick the leads to change first.")
    else:
        messages.success(request, f"{changed} lead{'s are' if changed != 1 else ' is'} now {status}.")
    return redirect(back_to(request, default=reverse("leads")))
