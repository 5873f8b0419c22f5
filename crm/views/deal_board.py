"""The board of deals, and the further cards of its columns."""

from collections.abc import Sequence
from typing import Final

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from crm.accounts.decorators import MemberRequest, member
from crm.forms.boards import BoardFilter
from crm.models import Deal, Pipeline
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.selectors.boards import BoardColumn
from crm.selectors.deals import CLOSED_DAYS, board_of, cards_after, end_in
from crm.selectors.pipelines import choice_of, stages_on_boards
from crm.services.searches import recall_search
from crm.views.filtering import filter_bar, list_address, to_filtered
from crm.views.pipelines import chosen_pipeline, with_pipeline

# In the URL, for each column that shows more than its first cards: stage and number, as "12.100".
SHOWN: Final = "shown"


@member(Action.SEE_LEADS)
def deals(request: MemberRequest) -> HttpResponse:
    """The board of one pipeline, filtered by the URL. The filter form is posted here and redirects to such a URL."""
    if request.method == "POST":
        return to_filtered(request, BoardFilter.base_filters)
    # An old bookmark: the list of a stage's deals used to have this address.
    if request.GET.get("stage"):
        return redirect(list_address("deal_list", request.GET.urlencode()))
    company, choice = request.membership.company, chosen_pipeline(request)
    filtered = _filtered(request, with_pipeline(request, choice), choice.pipelines)
    text = _searched_for(request)
    found = filtered.qs.search(company, text)
    board = board_of(
        company,
        choice.stages,
        found,
        shown=shown_in(request.GET),
        is_searched=bool(text),
    )
    context = {
        **filter_bar(filtered.form),
        "search": text,
        "board": board,
        "columns": [
            (column, _grown(request, column, len(column.cards)))
            for column in board.columns
        ],
        "stages": choice.offered,
        "closed_days": CLOSED_DAYS,
        "is_narrowed": bool(text or request.GET.get("owner") or request.GET.get("tag")),
    }
    return render(request, "crm/deals/board.html", context)


@require_safe
@member(Action.SEE_LEADS)
def deal_cards(request: MemberRequest, pk: int) -> HttpResponse:
    """The next cards of a column of the board, filtered by the URL like the board itself."""
    company, after = request.membership.company, request.GET.get("after", "")
    stages = list(stages_on_boards(company))
    stage, end = next((each for each in stages if each.pk == pk), None), end_in(after)
    if stage is None or (after and end is None):
        raise Http404
    choice = choice_of(stages, str(stage.pipeline_id))
    filtered = _filtered(request, request.GET, choice.pipelines)
    if filtered.form.errors or (
        request.GET.get("search") and not _searched_for(request)
    ):
        # A filter or search of the board no longer works, so these cards wouldn't belong with those above them.
        return HttpResponse(headers={"HX-Refresh": "true"})
    column = cards_after(
        company, stage, filtered.qs.search(company, _searched_for(request)), end
    )
    grown = _grown(request, column, shown_in(request.GET).get(pk, len(column.cards)))
    context = {"column": column, "grown": grown, "stages": choice.offered}
    return render(request, "crm/deals/more_cards.html", context)


def _filtered(
    request: MemberRequest, data: QueryDict, pipelines: Sequence[Pipeline]
) -> BoardFilter:
    own = Deal.objects.for_company(request.membership.company)
    return BoardFilter(data, queryset=own, request=request, pipelines=pipelines)


def _searched_for(request: MemberRequest) -> str:
    return recall_search(request.membership, request.GET.get("search", ""))


def shown_in(query: QueryDict) -> dict[int, int]:
    """The numbers of cards shown that the URL has, by stage id."""
    pairs = [text.partition(".") for text in query.getlist(SHOWN)]
    return {
        int(stage): int(count)
        for stage, _, count in pairs
        if is_number(stage) and is_number(count)
    }


def _grown(request: MemberRequest, column: BoardColumn, shown: int) -> str:
    """The query string of the board once this column shows its next cards too, after the first `shown`."""
    query, pk = request.GET.copy(), column.stage.pk
    query.pop("after", None)
    others = [text for text in query.getlist(SHOWN) if not text.startswith(f"{pk}.")]
    query.setlist(SHOWN, [*others, f"{pk}.{shown + column.more}"])
    return query.urlencode()
