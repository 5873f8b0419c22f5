"""Editing the details of an organisation."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from crm.accounts.decorators import MemberRequest, member
from crm.forms.organisation_details import OrganisationDetailsForm
from crm.models.roles import Action
from crm.services.organisation_details import OrganisationGone, save_details
from crm.views.organisations import own_organisation_or_404


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EDIT_LEADS)
def organisation_edit(request: MemberRequest, organisation: str) -> HttpResponse:
    found = own_organisation_or_404(request, organisation, has_deals=False)
    form = OrganisationDetailsForm(request.POST or None, instance=found.details)
    if not form.is_valid():
        context = {"organisation": found, "form": form}
        return render(request, "crm/organisations/form.html", context)
    values: dict[str, Any] = {
        name: form.cleaned_data[name] for name in form.changed_data
    }
    try:
        save_details(company=request.membership.company, key=found.key, values=values)
    except OrganisationGone as gone:
        raise Http404 from gone
    messages.success(request, "The details were saved.")
    return redirect("organisation", found.key)
