"""The board of deals by stage, the list of one stage, and the choice of a lead for a new deal."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.core.paginator import Paginator
from django.db.models import Count, F, Sum, Window
from django.db.models.functions import RowNumber
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from crm.filters import SearchForm
from crm.models import Company, Deal, Lead, Stage
from crm.roles import Action
from crm.timeline import outcomes_of_deals
from crm.views.access import MemberRequest, member, own_or_404
from crm.views.outcomes import with_outcomes

CARDS_PER_STAGE = 50
DEALS_PER_PAGE = 25
LEADS_OFFERED = 20
LAST_CHANGED = ("-updated_at", "-pk")  # whoever moved a deal finds it on top of its new stage


@dataclass(frozen=True)
class BoardColumn:
    """A stage with the deals that changed last; `count` and `sums` (currency, amount) are of all its deals."""

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
    """The board; with `?stage=`, the list of all deals in one stage."""
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
        return render(request, "crm/deal_list.html", context)
    return render(request, "crm/deal_board.html", {"board": _board(company, stages), "stages": stages})


def _board(company: Company, stages: Sequence[Stage]) -> list[BoardColumn]:
    """The columns, in three queries whatever the number of stages and deals."""
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
    """The first step towards a new deal: a search, because there may be too many leads for a list."""
    form = SearchForm(request.POST or None)
    text = form.cleaned_data["search"] if form.is_valid() else ""
    found = Lead.objects.for_company(request.membership.company).not_erased().search(text)
    return render(request, "crm/deal_choose_lead.html", {"form": form, "search": text, "leads": found[:LEADS_OFFERED]})
