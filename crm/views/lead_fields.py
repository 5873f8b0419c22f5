"""Editing one detail of a lead on its page."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import reselect, retarget

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.row_forms import EDITED_IN_PLACE, LeadFieldForm
from crm.models import Lead
from crm.models.roles import Action
from crm.services.erasure import locking_person
from crm.views.undo import tell


@vary_on_headers("HX-Request")
@member(Action.EDIT_LEADS)
@checked_again
def lead_field(request: MemberRequest, pk: int, field: str) -> HttpResponse:
    """The row of one detail as a form. Without htmx, redirect to that field in the form of the whole lead."""
    if field not in EDITED_IN_PLACE:
        raise Http404
    lead = own_or_404(Lead.objects.current(), request, pk)
    if request.method == "POST":
        with locking_person(lead.pk):
            return _save(
                request, own_or_404(Lead.objects.current(), request, pk), field
            )
    if not request.htmx:
        return redirect(f"{reverse('lead_edit', args=[lead.pk])}#id_{field}")
    return _row(
        request,
        LeadFieldForm(instance=lead, company=request.membership.company, field=field),
    )


def _save(request: MemberRequest, lead: Lead, field: str) -> HttpResponse:
    """Save the detail, or show its errors in its row. The caller has locked the lead."""
    form = LeadFieldForm(
        request.POST, instance=lead, company=request.membership.company, field=field
    )
    if not form.is_valid():
        return retarget(reselect(_row(request, form), f"#row-{field}"), f"#row-{field}")
    if form.has_changed():
        form.save()
        tell(request, f"{form.shown.label} of {lead} was saved.")
    return redirect(lead)


def _row(request: MemberRequest, form: LeadFieldForm) -> HttpResponse:
    return render(
        request,
        "crm/leads/_field_form.html",
        {"form": form, "lead": form.instance, "field": form.shown},
    )
