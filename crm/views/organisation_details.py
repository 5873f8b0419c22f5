"""Editing the details of organisations, and undoing a rename."""

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from crm.accounts.decorators import MemberRequest, member
from crm.forms.organisation_details import (
    OrganisationDetailsForm,
    OrganisationOwnerForm,
)
from crm.models.organisation import organisation_key
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.selectors.organisations import undoable_rename
from crm.services.bulk_changes import AT_ONCE
from crm.services.organisation_details import (
    OrganisationGone,
    change_owner_of,
    save_details,
)
from crm.services.organisation_rename_undo import UNDONE_BEFORE, undo_rename
from crm.services.organisations import RenameRefused
from crm.views.organisations import own_organisation_or_404
from crm.views.shell import back_to

NONE_SELECTED: Final = "Select the organisations to change first."
TOO_MANY: Final = (
    f"Nothing was changed: at most {AT_ONCE} organisations can be selected one by one."
)
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


@require_POST
@member(Action.EDIT_LEADS)
def organisation_bulk_owner(request: MemberRequest) -> HttpResponse:
    """Give all selected organisations one owner, or none. They are given by the ids of their oldest leads."""
    company = request.membership.company
    back = back_to(request, default=reverse("organisations"))
    selected = {int(pk) for pk in request.POST.getlist("organisation") if is_number(pk)}
    form = OrganisationOwnerForm(request.POST, company=company)
    if not selected:
        messages.warning(request, NONE_SELECTED)
    elif len(selected) > AT_ONCE:
        messages.error(request, TOO_MANY)
    elif not form.is_valid():
        messages.error(request, str(form.errors["owner"][0]))
    else:
        owner = form.cleaned_data["owner"]
        count = change_owner_of(company=company, leads=selected, owner=owner)
        messages.success(
            request, f"{count} organisation{'s' if count != 1 else ''} changed."
        )
    return redirect(back)
