"""Deals: the board, the list of a stage, and viewing, editing, moving and deleting a deal."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F, Sum, Window
from django.db.models.functions import RowNumber
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.deals import DealForm
from crm.forms.filters import SearchForm
from crm.models import Company, Deal, Lead, Stage
from crm.models.roles import Action
from crm.selectors import timeline
from crm.selectors.timeline import outcomes_of_deals
from crm.services.editing import move_deal
from crm.services.erasure import person_kept
from crm.views.editing import add_once, edit_page, form_key, saved_unless_changed
from crm.views.shell import back_to, with_outcomes
from crm.views.undo import tell

CARDS_PER_STAGE = 50
DEALS_PER_PAGE = 25
LEADS_OFFERED = 20
LAST_CHANGED = ("-updated_at", "-pk")  # a deal that was just moved is at the top of its new stage


@dataclass(frozen=True)
class BoardColumn:
    """A stage with its most recently changed deals. `count` and `sums` (currency, amount) cover all of them."""

    stage: Stage
    deals: Sequence[Deal]
    count: int
    sums: Sequence[tuple[str, Decimal]]

    @property
    def is_cut(self) -> bool:
        return self.count > len(self.deals)


@require_safe
@member(Action.SEE_LEADS)
def deals(request: MemberRequest) -> HttpResponse:
    """The board or, with `?stage=`, the list of all deals in one stage."""
    company = request.membership.company
    stages = list(Stage.objects.for_company(company))
    if request.GET.get("stage"):
        stage = own_or_404(Stage.objects.all(), request, request.GET["stage"])
        rows = (
            Deal.objects.for_company(company)
            .filter(stage=stage)
            .select_related("lead", "owner")
            .order_by(*LAST_CHANGED)
        )
        page = Paginator(rows, DEALS_PER_PAGE).get_page(request.GET.get("page"))
        context = {
            "page": page,
            "rows": with_outcomes(page, outcomes_of_deals, request),
            "stage": stage,
            "stages": stages,
        }
        return render(request, "crm/deals/list.html", context)
    return render(request, "crm/deals/board.html", {"board": _board(company, stages), "stages": stages})


def _board(company: Company, stages: Sequence[Stage]) -> list[BoardColumn]:
    """The columns, in three queries however many stages and deals there are."""
    all_deals = Deal.objects.for_company(company)
    by_change = Window(RowNumber(), partition_by=F("stage_id"), order_by=LAST_CHANGED)
    cards = defaultdict(list)
    shown = all_deals.annotate(rank=by_change).filter(rank__lte=CARDS_PER_STAGE).order_by("rank")
    for deal in shown.select_related("lead"):
        cards[deal.stage_id].append(deal)
    counts: dict[int, int] = defaultdict(int)
    sums: dict[int, list[tuple[str, Decimal]]] = defaultdict(list)
    totals = all_deals.order_by("currency").values_list("stage_id", "currency")
    for stage_id, currency, count, total in totals.annotate(count=Count("pk"), total=Sum("amount")):
        counts[stage_id] += count
        if total:
            sums[stage_id].append((currency, total))
    return [BoardColumn(stage, cards[stage.pk], counts[stage.pk], sums[stage.pk]) for stage in stages]


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
    context = {
        "deal": instance,
        "timeline": timeline.of_deal(instance),
        "stages": Stage.objects.for_company(request.membership.company),
    }
    return render(request, "crm/deals/detail.html", context)


@member(Action.EDIT_LEADS)
def deal_new(request: MemberRequest) -> HttpResponse:
    """A new deal for the lead in `?lead=`; without one, the search for a lead."""
    if not request.GET.get("lead"):
        return choose_lead(request)
    lead = own_or_404(Lead.objects.not_erased().select_related("company"), request, request.GET["lead"])
    form = DealForm(request.POST or None, lead=lead, initial={"owner": request.user})
    if form.is_valid():
        return add_once(request, "deal", partial(_save, form))
    context = {"form": form, "form_key": form_key(request), "lead": lead, "cancel_url": lead.get_absolute_url()}
    return render(request, "crm/deals/form.html", context)


@member(Action.EDIT_LEADS)
def deal_edit(request: MemberRequest, pk: int) -> HttpResponse:
    instance = own_or_404(Deal.objects.filter(lead__erased_at=None).select_related("lead__company"), request, pk)
    title = instance.title  # read first, because even an invalid form changes the instance
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
def deal_move(request: MemberRequest, pk: int) -> HttpResponse:
    """Move the deal to another stage, from the board or its page."""
    instance = own_or_404(Deal.objects.all(), request, pk)
    stage = own_or_404(Stage.objects.all(), request, request.POST.get("stage"))
    move_deal(deal=instance, stage=stage)
    tell(request, f"{instance} is now in {stage}.")
    return redirect(back_to(request, default=reverse("deals")))


@member(Action.DELETE_LEADS)
def deal_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the deal. Its lead stays."""
    instance = own_or_404(Deal.objects.select_related("lead"), request, pk)
    if request.method == "POST":
        instance.delete()
        messages.success(request, f"{instance} was deleted.")
        return redirect(instance.lead)
    return render(request, "crm/deals/delete.html", {"deal": instance})
