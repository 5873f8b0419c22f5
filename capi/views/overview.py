"""How conversions are doing over weeks and months."""

from collections.abc import Iterator
from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from capi.forms import OverviewForm
from capi.reads.counts import Asked, days_of, details_of, lines_of, outcomes_of
from crm.roles import Action
from crm.views.access import MemberRequest, member
from crm.views.exports import export

REASONS_HEAD: Final = ("day", "rule", "state", "why", "events")
DAYS_HEAD: Final = (
    "day", "sent", "on_the_way", "failed", "not_sent", "with_email_percent", "p50_seconds", "p95_seconds",
)  # fmt: skip


@require_safe
@member(Action.SEE_EVENT_LOG)
def overview(request: MemberRequest) -> HttpResponse:
    """Outcomes by day, times and reasons, of one rule or all, over the days that are asked for."""
    company_id = request.membership.company_id
    form = OverviewForm(request.GET, company=request.membership.company)
    asked = form.wanted()
    return render(
        request,
        "capi/overview.html",
        {
            "form": form,
            "asked": asked,
            "outcomes": outcomes_of(company_id, asked),
            "details": details_of(company_id, asked),
        },
    )


@require_POST
@member(Action.SEE_EVENT_LOG)
def overview_export(request: MemberRequest) -> HttpResponseBase:
    """The numbers behind the page, as CSV: a line for each day, rule and reason, or with `by=day` one for each day."""
    company_id = request.membership.company_id
    asked = OverviewForm(request.POST, company=request.membership.company).wanted()
    if request.POST.get("by") == "day":
        rows = _days(company_id, asked)
        return export(request, what="conversion numbers by day", head=DAYS_HEAD, rows=rows, back_to="overview")
    return export(
        request, what="conversion numbers", head=REASONS_HEAD, rows=_reasons(company_id, asked), back_to="overview"
    )


def _reasons(company_id: int, asked: Asked) -> Iterator[list[object]]:
    for line in lines_of(company_id, asked):
        yield [line.day, line.rule, line.words.label, line.words.what, line.count]


def _days(company_id: int, asked: Asked) -> Iterator[list[object]]:
    for day, tally in days_of(company_id, asked):
        figures = [tally.with_email_percent, tally.typical_seconds, tally.slow_seconds]
        yield [day, *tally.by_group, *(None if figure is None else round(figure, 1) for figure in figures)]
