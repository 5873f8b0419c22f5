"""One deal: its page, its form, its move to another stage, its end."""

from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from crm import timeline
from crm.erasure import person_kept
from crm.forms.deals import DealForm
from crm.models import Deal, Lead, Stage
from crm.roles import Action
from crm.services import move_deal
from crm.views.access import MemberRequest, member, own_or_404
from crm.views.deals import choose_lead
from crm.views.edits import edit_page, saved_unless_changed
from crm.views.once import added, form_key
from crm.views.shell import back_to


@require_safe
@member(Action.SEE_LEADS)
def deal(request: MemberRequest, pk: int) -> HttpResponse:
    """The deal's page: what is known, its lead, and what happened."""
    found = own_or_404(Deal.objects.select_related("stage", "owner", "lead"), request, pk)
    context = {
        "deal": found,
        "timeline": timeline.of_deal(found),
        "stages": Stage.objects.for_company(request.membership.company),
    }
    return render(request, "crm/deal_detail.html", context)


@member(Action.EDIT_LEADS)
def deal_new(request: MemberRequest) -> HttpResponse:
    """A new deal of the lead in `?lead=`; without one, the choice of a lead."""
    if not request.GET.get("lead"):
        return choose_lead(request)
    lead = own_or_404(Lead.objects.not_erased().select_related("company"), request, request.GET["lead"])
    form = DealForm(request.POST or None, lead=lead, initial={"owner": request.user})
    if form.is_valid():
        return added(request, "deal", partial(_save, form))
    context = {"form": form, "form_key": form_key(request), "lead": lead, "cancel_url": lead.get_absolute_url()}
    return render(request, "crm/deal_form.html", context)


@member(Action.EDIT_LEADS)
def deal_edit(request: MemberRequest, pk: int) -> HttpResponse:
    found = own_or_404(Deal.objects.filter(lead__erased_at=None).select_related("lead__company"), request, pk)
    title = found.title  # the form writes into the deal even where it then refuses
    form = DealForm(request.POST or None, instance=found, lead=found.lead)
    if form.is_valid() and saved_unless_changed(request, form):
        return redirect(found)
    context = {"form": form, "lead": found.lead, "title": title, "cancel_url": found.get_absolute_url()}
    return edit_page(request, "crm/deal_form.html", context, found)


def _save(form: DealForm) -> Deal:
    with person_kept(form.instance.lead_id):
        saved: Deal = form.save()
    return saved


@require_POST
@member(Action.EDIT_LEADS)
def deal_move(request: MemberRequest, pk: int) -> HttpResponse:
    """Put the deal into another stage, from the board or from its page."""
    found = own_or_404(Deal.objects.all(), request, pk)
    stage = own_or_404(Stage.objects.all(), request, request.POST.get("stage"))
    move_deal(deal=found, stage=stage)
    messages.success(request, f"{found} is now in {stage}.")
    return redirect(back_to(request, default=reverse("deals")))


@member(Action.DELETE_LEADS)
def deal_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask, then delete the deal. Its lead stays."""
    found = own_or_404(Deal.objects.select_related("lead"), request, pk)
    if request.method == "POST":
        found.delete()
        messages.success(request, f"{found} was deleted.")
        return redirect(found.lead)
    return render(request, "crm/deal_delete.html", {"deal": found})
