"""Organisations: the list, the page of one, and giving it another name."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from crm.accounts.decorators import MemberRequest, member
from crm.forms.organisations import RenameForm, SuggestionsForm
from crm.lists.keyset import ByFields, page_of
from crm.lists.organisations import ORGANISATIONS
from crm.models import Deal, Lead
from crm.models.bidi import without_bidi_controls
from crm.models.deal_person import deals_with
from crm.models.organisation import organisation_key
from crm.models.organisation_figures import Organisation
from crm.models.roles import Action
from crm.selectors import timeline
from crm.selectors.organisation_domains import others_with_domain
from crm.selectors.organisations import (
    names_like,
    organisation_of,
    organisations_page,
    undoable_rename,
)
from crm.services.editing import ChangedMeanwhile
from crm.services.organisations import (
    RenameRefused,
    leads_joined,
    leads_to_rename,
    rename_organisation,
)
from crm.views.editing import number_in
from crm.views.filtering import filtered_list, list_context, to_filtered_list

PEOPLE_PER_PAGE = 25
DEALS_PER_PAGE = 15
CONFIRMED = "confirmed"
CHANGED = "Nothing has been renamed yet: there are other leads by now. Check the numbers again."


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.SEE_LEADS)
def organisations(request: MemberRequest) -> HttpResponse:
    """The organisations by name. The search is posted here, and redirects to a URL without what was typed."""
    if request.method == "POST":
        return to_filtered_list(request, ORGANISATIONS)
    found = filtered_list(request, ORGANISATIONS)
    after, before = (request.GET.get(name, "") for name in ("after", "before"))
    page = organisations_page(
        request.membership.company,
        found.search,
        details=found.details,
        after=after,
        before=before,
    )
    context = list_context(request, found, unfolding=(), kept={})
    context |= {"page": page, "people": found.rows_of("owner")}
    return render(request, "crm/organisations/list.html", context)


@require_safe
@member(Action.SEE_LEADS)
def organisation(request: MemberRequest, organisation: str) -> HttpResponse:
    """The organisation's page: its leads, their deals, and a timeline of both."""
    company = request.membership.company
    found = own_organisation_or_404(request, organisation)
    leads = Lead.objects.for_company(company).of_organisation(found.key)
    # Given the ids, PostgreSQL reads the deals of these leads. Given a subquery, it may search all deals for them.
    known = list(leads.values_list("pk", flat=True)) if found.is_counted else leads
    deals = deals_with(company, known)
    people = page_of(
        leads.select_related("status"),
        ByFields(),
        size=PEOPLE_PER_PAGE,
        known=Lead.objects.for_company(company),
        after=request.GET.get("people", ""),
    )
    shown_deals = page_of(
        deals.select_related("stage", "lead"),
        ByFields(),
        size=DEALS_PER_PAGE,
        known=Deal.objects.for_company(company),
        after=request.GET.get("deals", ""),
    )
    before = request.GET.get("before", "")
    context = {
        "organisation": found,
        "rename": undoable_rename(company, found.key),
        "others": others_with_domain(company, found.details),
        "people": people,
        "deals": shown_deals,
        "timeline": timeline.of_organisation(
            leads, company, request.membership, before=before
        ),
        "leads_considered": timeline.LEADS_CONSIDERED,
    }
    return render(request, "crm/organisations/detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EDIT_LEADS)
def organisation_rename(request: MemberRequest, organisation: str) -> HttpResponse:
    """Ask for a new name, then for confirmation with the number of leads, then rename it on all of them."""
    found = own_organisation_or_404(request, organisation, has_deals=False)
    try:
        return _asked_or_renamed(request, found)
    except RenameRefused as refused:
        messages.error(request, str(refused))
        return redirect("organisation", found.key)


def _asked_or_renamed(request: MemberRequest, found: Organisation) -> HttpResponse:
    company = request.membership.company
    lead_count = leads_to_rename(company=company, organisation=found.key)
    form = RenameForm(request.POST or None, initial={"name": found.name})
    if not form.is_valid():
        return render(
            request,
            "crm/organisations/rename.html",
            {"organisation": found, "form": form},
        )
    name = form.cleaned_data["name"]
    if CONFIRMED in request.POST:
        try:
            return _renamed(request, found, name)
        except ChangedMeanwhile:
            messages.warning(request, CHANGED)
    joined_count = leads_joined(company=company, organisation=found.key, name=name)
    context = {
        "organisation": found,
        "name": name,
        "lead_count": lead_count,
        "inputs": {
            CONFIRMED: 1,
            "name": name,
            "lead_count": lead_count,
            "joined_count": joined_count,
        },
        "joined": organisation_of(company, name, has_deals=False)
        if joined_count
        else None,
    }
    return render(request, "crm/organisations/rename_question.html", context)


def _renamed(request: MemberRequest, found: Organisation, name: str) -> HttpResponse:
    company = request.membership.company
    asked = {
        count: number_in(request, count, -1) for count in ("lead_count", "joined_count")
    }
    renamed = rename_organisation(
        company=company, organisation=found.key, name=name, **asked
    )
    # If an organisation with this name exists, it keeps the spelling of its oldest lead.
    named = organisation_of(company, name, has_deals=False)
    called = named.name if named else name
    told = f"{renamed:,} lead{'s were' if renamed != 1 else ' was'} changed: the organisation is now called {called}. "
    told += "You can undo it for 24 hours."
    messages.success(request, without_bidi_controls(told))
    return redirect("organisation", organisation_key(name))


def own_organisation_or_404(
    request: MemberRequest, organisation: str, *, has_deals: bool = True
) -> Organisation:
    """The company's organisation with this key. Raises Http404 if none of its leads has it."""
    found = organisation_of(
        request.membership.company, organisation, has_deals=has_deals
    )
    if found is None:
        raise Http404
    return found


@require_POST
@member(Action.EDIT_LEADS)
def organisation_suggestions(request: MemberRequest) -> HttpResponse:
    """The organisations that match what is typed, as options of a field. The typed text is not stored."""
    form = SuggestionsForm(request.POST)
    typed = form.cleaned_data["organisation"] if form.is_valid() else ""
    names = [name for _, name in names_like(request.membership.company, typed)]
    return render(request, "crm/organisations/_suggestions.html", {"names": names})
