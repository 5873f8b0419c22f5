"""Editing the details of an organisation, and undoing its rename."""

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from crm.accounts.decorators import MemberRequest, member
from crm.forms.organisation_details import OrganisationDetailsForm
from crm.models.organisation import organisation_key
from crm.models.roles import Action
from crm.selectors.organisations import undoable_rename
from crm.services.organisation_details import OrganisationGone, save_details
from crm.services.organisation_rename_undo import UNDONE_BEFORE, undo_rename
from crm.services.organisations import RenameRefused
from crm.views.organisations import own_organisation_or_404

CHANGED_SINCE: Final = (
    "Nothing was undone: these leads have another organisation since."
)


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


@require_POST
@member(Action.EDIT_LEADS)
def organisation_rename_undo(request: MemberRequest, organisation: str) -> HttpResponse:
    """Give the leads of the latest rename to this name their former one."""
    found = own_organisation_or_404(request, organisation, has_deals=False)
    rename = undoable_rename(request.membership.company, found.key)
    try:
        if rename is None:
            raise RenameRefused(UNDONE_BEFORE)
        count = undo_rename(rename=rename)
    except RenameRefused as refused:
        messages.warning(request, str(refused))
        return redirect("organisation", found.key)
    if not count:
        messages.warning(request, CHANGED_SINCE)
        return redirect("organisation", found.key)
    is_one = count == 1
    messages.success(
        request,
        f"Undone: {count:,} lead{' has' if is_one else 's have'} the former name again.",
    )
    return redirect("organisation", organisation_key(rename.former_name))
