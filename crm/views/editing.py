"""Editing a lead or a deal that somebody else may be editing too."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpResponse
from django.shortcuts import render

from crm.accounts.decorators import MemberRequest
from crm.forms.deals import DealForm
from crm.forms.leads import LeadForm
from crm.models import Deal, Lead
from crm.services.editing import ChangedMeanwhile, unchanged_since, version_of

VERSION: Final = "version"
CHANGED: Final = (
    "Nothing was saved: this was changed after you opened it. Below is what you typed. Save once more to put it in the "
    "place of what is there now, or cancel to see that."
)


def saved_unless_changed(request: MemberRequest, form: LeadForm | DealForm) -> bool:
    """Save an edited row. False where somebody has changed it since its form was opened, and then the form says so."""
    try:
        with unchanged_since(request.POST.get(VERSION, ""), form.instance):
            messages.success(request, f"{form.save()} was saved.")
    except ChangedMeanwhile:
        form.add_error(None, CHANGED)
        return False
    except ObjectDoesNotExist as gone:
        raise Http404 from gone
    return True


def edit_page(request: MemberRequest, template: str, context: dict[str, Any], row: Lead | Deal) -> HttpResponse:
    """The form of a row, which knows the version that it was opened on; after a conflict, the one there is now."""
    is_conflict = CHANGED in context["form"].non_field_errors()
    if is_conflict:
        row.refresh_from_db(fields=["updated_at"])
    version = version_of(row) if is_conflict else request.POST.get(VERSION) or version_of(row)
    return render(request, template, {**context, VERSION: version}, status=409 if is_conflict else 200)
