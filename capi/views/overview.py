"""How conversions are doing over weeks and months."""

from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from capi.forms import OverviewForm
from capi.reads.counts import details_of, lines_of, outcomes_of
from crm.roles import Action
from crm.views.access import MemberRequest, member
from crm.views.exports import export

HEAD: Final = ("day", "rule", "state", "why", "events")


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
    """The numbers behind the page, as CSV: a line for each day, rule and reason."""
    asked = OverviewForm(request.POST, company=request.membership.company).wanted()
    rows = (
        (line.day.isoformat(), line.rule, line.words.label, line.words.what, line.count)
        for line in lines_of(request.membership.company_id, asked)
    )
    return export(request, what="conversion numbers", head=HEAD, rows=rows, back_to="overview")
