"""The people of a deal: finding a lead to add, removing one, and making one the lead."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.filters import SearchForm
from crm.models import Deal, Lead
from crm.models.roles import Action
from crm.selectors.deal_people import people_of
from crm.services.deal_people import (
    PeopleRefused,
    add_person,
    change_lead,
    remove_person,
)

LEADS_OFFERED: Final = 20
# What each button does, by its name, and the message afterwards.
CHANGES: Final[dict[str, tuple[Callable[..., None], str]]] = {
    "add": (add_person, "{lead} was added to the deal."),
    "remove": (remove_person, "{lead} was removed from the deal."),
    "main": (partial(change_lead, of_people=True), "{lead} is now the main person."),
}


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EDIT_LEADS)
@checked_again
def deal_people(request: MemberRequest, pk: int) -> HttpResponse:
    """Search for a lead to add. The form is posted here, as is the lead to `add`, to `remove` or to make `main`."""
    deal = own_or_404(
        Deal.objects.filter(lead__erased_at=None).select_related("lead"), request, pk
    )
    for name in CHANGES:
        if name in request.POST:
            return _changed(request, deal, name)
    return _search(request, deal)


def _changed(request: MemberRequest, deal: Deal, name: str) -> HttpResponse:
    lead = own_or_404(Lead.objects.current(), request, request.POST[name])
    change, told = CHANGES[name]
    try:
        change(deal=deal, lead=lead)
    except PeopleRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, told.format(lead=lead))
    return redirect(deal)


def _search(request: MemberRequest, deal: Deal) -> HttpResponse:
    form = SearchForm(request.POST or None)
    text = form.cleaned_data["search"] if form.is_valid() else ""
    there = [deal.lead_id, *(lead.pk for lead in people_of(deal).further)]
    leads = (
        Lead.objects.for_company(request.membership.company)
        .current()
        .exclude(pk__in=there)
        .search(text)
    )
    context: dict[str, Any] = {
        "deal": deal,
        "form": form,
        "search": text,
        "leads": leads[:LEADS_OFFERED],
    }
    return render(request, "crm/deals/add_person.html", context)
