"""Deals: the board, the list of a stage, and viewing, editing, moving and deleting a deal."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.deals import DealFilter, DealForm
from crm.forms.filters import SearchForm
from crm.models import Deal, FieldSubject, Lead, Stage
from crm.models.deal import DealQuerySet
from crm.models.roles import Action
from crm.selectors import timeline
from crm.selectors.custom_fields import fields_in_use, shown_values
from crm.selectors.deals import CLOSED_DAYS, LAST_CHANGED, board_of, search
from crm.selectors.tags import tag_choices
from crm.selectors.tasks import open_tasks_of
from crm.selectors.timeline import outcomes_of_deals
from crm.services.editing import delete, move_deal
from crm.services.erasure import person_kept
from crm.services.searches import recall_search
from crm.views.editing import add_once, edit_page, form_key, saved_unless_changed, tell_dropped, was_submitted
from crm.views.filtering import filter_bar, to_filtered
from crm.views.leads import archived_since
from crm.views.shell import back_to, with_outcomes
from crm.views.undo import tell

DEALS_PER_PAGE = 25
LEADS_OFFERED = 20


@member(Action.SEE_LEADS)
def deals(request: MemberRequest) -> HttpResponse:
    """The board or, with `?stage=`, the list of all deals in one stage; both filtered by the URL.

    The filter form is posted here and redirects to such a URL.
    """
    if request.method == "POST":
        return to_filtered(request, ["stage", *DealFilter.base_filters])
    company = request.membership.company
    filtered = DealFilter(request.GET, queryset=Deal.objects.for_company(company), request=request)
    text = recall_search(request.membership, request.GET.get("search", ""))
    rows = search(filtered.qs, company, text)
    stages = list(Stage.objects.for_company(company))
    context = {**filter_bar(filtered.form), "search": text}
    context["stages"] = [stage for stage in stages if stage.archived_at is None]
    context["is_narrowed"] = bool(text) or any(request.GET.get(name) for name in filtered.filters)
    if request.GET.get("stage"):
        stage = own_or_404(Stage.objects.all(), request, request.GET["stage"])
        return _stage_list(request, stage, rows, context)
    board = board_of(company, stages, rows)
    return render(request, "crm/deals/board.html", {**context, "board": board, "closed_days": CLOSED_DAYS})


def _stage_list(request: MemberRequest, stage: Stage, rows: DealQuerySet, context: dict[str, Any]) -> HttpResponse:
    in_stage = rows.filter(stage=stage).select_related("lead", "owner")
    in_stage = in_stage.prefetch_related("tags").order_by(*LAST_CHANGED)
    page = Paginator(in_stage, DEALS_PER_PAGE).get_page(request.GET.get("page"))
    context |= {"stage": stage, "kept": {"stage": stage.pk}, "clear": f"{reverse('deals')}?stage={stage.pk}"}
    context |= {"page": page, "rows": with_outcomes(page, outcomes_of_deals, request)}
    return render(request, "crm/deals/list.html", context)


def choose_lead(request: MemberRequest) -> HttpResponse:
    """Choose the lead for a new deal by a search, because there may be too many leads for a list."""
    form = SearchForm(request.POST or None)
    text = form.cleaned_data["search"] if form.is_valid() else ""
    leads = Lead.objects.for_company(request.membership.company).not_erased().search(text)
    return render(request, "crm/deals/choose_lead.html", {"form": form, "search": text, "leads": leads[:LEADS_OFFERED]})


@require_safe
@member(Action.SEE_LEADS)
def deal(request: MemberRequest, pk: int) -> HttpResponse:
    """The deal's page: its fields, its lead and its timeline."""
    instance = own_or_404(Deal.objects.select_related("stage", "owner", "lead"), request, pk)
    company = request.membership.company
    context = {
        "deal": instance,
        "tasks": open_tasks_of(instance),
        "timeline": timeline.of_deal(instance),
        "stages": Stage.objects.for_company(company).offered(),
        "custom": shown_values(fields_in_use(company, FieldSubject.DEAL), instance.custom, company),
        **tag_choices(instance),
    }
    return render(request, "crm/deals/detail.html", context)


@member(Action.EDIT_LEADS)
@checked_again
def deal_new(request: MemberRequest) -> HttpResponse:
    """A new deal for the lead in `?lead=`; without one, the search for a lead."""
    if not request.GET.get("lead"):
        return choose_lead(request)
    lead = own_or_404(Lead.objects.not_erased().select_related("company"), request, request.GET["lead"])
    form = DealForm(request.POST or None, lead=lead, initial={"owner": request.user})
    if form.is_valid() or was_submitted(request):  # invalid by now, if the lists have changed
        tell_dropped(request, form)
        return add_once(request, "deal", partial(_save, form))
    context = {"form": form, "form_key": form_key(request), "lead": lead, "cancel_url": lead.get_absolute_url()}
    return render(request, "crm/deals/form.html", context)


@member(Action.EDIT_LEADS)
@checked_again
def deal_edit(request: MemberRequest, pk: int) -> HttpResponse:
    instance = own_or_404(Deal.objects.filter(lead__erased_at=None).select_related("lead__company"), request, pk)
    title = str(instance)  # read first, because even an invalid form changes the instance
    form = DealForm(request.POST or None, instance=instance, lead=instance.lead)
    if form.is_valid() and saved_unless_changed(request, form):
        return redirect(instance)
    context = {"form": form, "lead": instance.lead, "title": title, "cancel_url": instance.get_absolute_url()}
    return edit_page(request, "crm/deals/form.html", context, instance)


def _save(form: DealForm) -> Deal:
    with person_kept(form.instance.lead_id):
        saved: Deal = form.save()
    return saved


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def deal_move(request: MemberRequest, pk: int) -> HttpResponse:
    """Move the deal to another stage, from the board or its page."""
    instance = own_or_404(Deal.objects.all(), request, pk)
    stage = own_or_404(Stage.objects.all(), request, request.POST.get("stage"))
    if stage.pk == instance.stage_id or not archived_since(request, stage):
        move_deal(deal=instance, stage=stage)
        tell(request, f"{instance} is now in {stage}.")
    return redirect(back_to(request, default=reverse("deals")))


@member(Action.DELETE_LEADS)
def deal_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the deal. Its lead stays."""
    instance = own_or_404(Deal.objects.select_related("lead"), request, pk)
    if request.method == "POST":
        delete(row=instance)
        messages.success(request, f"{instance} was deleted.")
        return redirect(instance.lead)
    return render(request, "crm/deals/delete.html", {"deal": instance})
