"""One lead: its page, its form, its status, its end."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from crm import timeline
from crm.erasure import erase_lead
from crm.forms.leads import ErasureForm, LeadForm
from crm.models import Lead, LeadStatus
from crm.roles import Action
from crm.services import change_status
from crm.views.access import MemberRequest, member, own_or_404
from crm.views.edits import edit_page, saved_unless_changed
from crm.views.once import added, form_key
from crm.views.shell import back_to


@require_safe
@member(Action.SEE_LEADS)
def lead(request: MemberRequest, pk: int) -> HttpResponse:
    """The lead's page: what is known, its deals, and what happened."""
    found = own_or_404(Lead.objects.select_related("status", "owner"), request, pk)
    return render(
        request,
        "crm/lead_detail.html",
        {
            "lead": found,
            "deals": found.deals.select_related("stage"),
            "timeline": timeline.of_lead(found),
            "statuses": LeadStatus.objects.for_company(request.membership.company),
        },
    )


@member(Action.EDIT_LEADS)
def lead_new(request: MemberRequest) -> HttpResponse:
    company = request.membership.company
    form = LeadForm(request.POST or None, company=company, initial={"owner": request.user})
    if form.is_valid():
        return added(request, "lead", form.save)
    context = {"form": form, "form_key": form_key(request), "cancel_url": reverse("leads")}
    return render(request, "crm/lead_form.html", context)


@member(Action.EDIT_LEADS)
def lead_edit(request: MemberRequest, pk: int) -> HttpResponse:
    found = own_or_404(Lead.objects.not_erased(), request, pk)
    name = found.name  # the form writes into the lead even where it then refuses
    form = LeadForm(request.POST or None, instance=found, company=request.membership.company)
    if form.is_valid() and saved_unless_changed(request, form):
        return redirect(found)
    context = {"form": form, "lead": found, "name": name, "cancel_url": found.get_absolute_url()}
    return edit_page(request, "crm/lead_form.html", context, found)


@member(Action.DELETE_LEADS)
def lead_erase(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for the person's name, then erase the person. What is left is a row without anything of them."""
    found = own_or_404(Lead.objects.not_erased(), request, pk)
    form = ErasureForm(request.POST or None, lead=found)
    if form.is_valid():
        erase_lead(lead=found, user=request.user)
        messages.success(request, f"Lead {found.pk} was erased. The audit log keeps a receipt with the lead's number.")
        return redirect(found)
    return render(request, "crm/lead_erase.html", {"lead": found, "form": form})


@require_POST
@member(Action.EDIT_LEADS)
def lead_status(request: MemberRequest, pk: int) -> HttpResponse:
    """The quick change of a status, in the list and on the lead's page."""
    found = own_or_404(Lead.objects.not_erased(), request, pk)
    status = own_or_404(LeadStatus.objects.all(), request, request.POST.get("status"))
    change_status(leads=Lead.objects.filter(pk=found.pk), status=status)
    messages.success(request, f"{found} is now {status}.")
    return redirect(back_to(request, default=found.get_absolute_url()))


@member(Action.DELETE_LEADS)
def lead_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask, then delete the lead with its deals."""
    found = own_or_404(Lead.objects.all(), request, pk)
    if request.method == "POST":
        name = found.name
        found.delete()
        messages.success(request, f"{name} was deleted.")
        return redirect("leads")
    return render(request, "crm/lead_delete.html", {"lead": found, "deal_count": found.deals.count()})
