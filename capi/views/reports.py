"""How conversions are doing: over weeks and months, and the reconcile of one week."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from capi.forms.reports import OverviewForm, WeekForm
from capi.models.functions import WEEK, monday_of
from capi.selectors.connection import connection_status
from capi.selectors.reconcile import Week, earliest_week, reconcile
from capi.selectors.reports import ReportPeriod, days_of, details_of, outcomes_of, rows_of
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.views.exports import export

# --- How conversions are doing over weeks and months.

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
        "capi/reports/overview.html",
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


def _reasons(company_id: int, asked: ReportPeriod) -> Iterator[list[object]]:
    for line in rows_of(company_id, asked):
        yield [line.day, line.rule, line.words.label, line.words.what, line.count]


def _days(company_id: int, asked: ReportPeriod) -> Iterator[list[object]]:
    for day, tally in days_of(company_id, asked):
        figures = [tally.with_email_percent, tally.typical_seconds, tally.slow_seconds]
        yield [day, *tally.by_group, *(None if figure is None else round(figure, 1) for figure in figures)]


# --- The week's reconcile: a page, and the same numbers as a file.

RECONCILE_HEAD: Final = ("week", "rule", "linkedin_id", "crm_event", "crm_events", "state", "why", "count")


@require_safe
@member(Action.SEE_EVENT_LOG)
def week(request: MemberRequest) -> HttpResponse:
    """What became of the CRM events of a week: the one with the day `?week=`, or else the last whole one."""
    form = WeekForm(request.GET)
    chosen = _monday(form.day())
    found = reconcile(request.membership.company_id, chosen, connection_status(request).connection)
    return render(request, "capi/reports/reconcile.html", {"week": found, "not_understood": bool(form.errors)})


@require_POST
@member(Action.SEE_EVENT_LOG)
def export_week(request: MemberRequest) -> HttpResponseBase:
    """The week as CSV: a line for each rule and what became."""
    monday = _monday(WeekForm(request.POST).day())
    found = reconcile(request.membership.company_id, monday, connection_status(request).connection)
    return export(request, what=f"reconcile {monday}", head=RECONCILE_HEAD, rows=_lines(found), back_to="reconcile")


def _monday(day: date | None) -> date:
    """The week's Monday, not ahead of this week's and not of a week that is no longer kept."""
    this = monday_of(timezone.localdate())
    return this - WEEK if day is None else min(max(monday_of(day), earliest_week()), this)


def _lines(found: Week) -> Iterator[list[object]]:
    for one in found.rules:
        rule = [found.monday, one.rule.name, one.rule.linkedin_id, one.rule.crm_event, one.crm_events]
        for line in one.lines:
            yield [*rule, line.words.label, line.words.what, line.count]
