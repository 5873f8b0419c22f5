"""Reports: the overview over weeks and months, and the reconcile of one week."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from capi.forms.reports import OverviewForm, WeekForm
from capi.models.functions import WEEK, monday_of
from capi.selectors.connection import connection_status
from capi.selectors.reconcile import Week, earliest_week, reconcile
from capi.selectors.reports import (
    ReportPeriod,
    days_of,
    details_of,
    outcomes_of,
    rows_of,
)
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.selectors.match_readiness import obstacles_to_matching
from crm.views.downloads import export
from crm.views.filtering import filter_bar, to_filtered

# The overview.

REASONS_HEAD: Final = ("day", "rule", "state_label", "why", "events")
DAYS_HEAD: Final = (
    "day",
    "sent",
    "on_the_way",
    "failed",
    "not_sent",
    "with_email_percent",
    "p50_seconds",
    "p95_seconds",
)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.SEE_EVENT_LOG)
def overview(request: MemberRequest) -> HttpResponse:
    """Outcomes by day, times and reasons over the period, for one rule or all.

    The filter form is posted here and redirects to a URL with the filters.
    """
    if request.method == "POST":
        return to_filtered(request, OverviewForm.base_fields)
    company_id = request.membership.company_id
    form = OverviewForm(request.GET, company=request.membership.company)
    period = form.report_period()
    return render(
        request,
        "capi/reports/overview.html",
        {
            **filter_bar(form, unfolding=("since", "until")),
            "is_narrowed": bool(request.GET),
            "asked": period,
            "outcomes": outcomes_of(company_id, period),
            "details": details_of(company_id, period),
            "obstacles": obstacles_to_matching(request.membership.company),
        },
    )


@require_POST
@member(Action.SEE_EVENT_LOG)
def overview_export(request: MemberRequest) -> HttpResponseBase:
    """The page's numbers as CSV: a line per day, rule and reason, or with `by=day` one per day."""
    company_id = request.membership.company_id
    period = OverviewForm(
        request.POST, company=request.membership.company
    ).report_period()
    if request.POST.get("by") == "day":
        rows = _days(company_id, period)
        return export(
            request,
            what="conversion numbers by day",
            head=DAYS_HEAD,
            rows=rows,
            back_to="overview",
        )
    return export(
        request,
        what="conversion numbers",
        head=REASONS_HEAD,
        rows=_reasons(company_id, period),
        back_to="overview",
    )


def _reasons(company_id: int, period: ReportPeriod) -> Iterator[list[object]]:
    for line in rows_of(company_id, period):
        yield [line.day, line.rule, line.words.label, line.words.what, line.count]


def _days(company_id: int, period: ReportPeriod) -> Iterator[list[object]]:
    for day, tally in days_of(company_id, period):
        figures = [tally.with_email_percent, tally.typical_seconds, tally.slow_seconds]
        yield [
            day,
            *tally.by_group,
            *(None if figure is None else round(figure, 1) for figure in figures),
        ]


# The reconcile of one week: a page, and the same numbers as CSV.

RECONCILE_HEAD: Final = (
    "week",
    "rule",
    "linkedin_id",
    "crm_event",
    "crm_event_label",
    "crm_events",
    "state_label",
    "why",
    "count",
)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.SEE_EVENT_LOG)
def week(request: MemberRequest) -> HttpResponse:
    """Outcomes of a week's CRM events: the week containing the day `?week=`, or by default the last full week.

    The form with the week is posted here and redirects to such a URL.
    """
    if request.method == "POST":
        return to_filtered(request, WeekForm.base_fields)
    form = WeekForm({"week": request.GET.get("week") or _monday(None).isoformat()})
    chosen = _monday(form.day())
    reconciled = reconcile(
        request.membership.company_id, chosen, connection_status(request).connection
    )
    return render(
        request, "capi/reports/reconcile.html", {"week": reconciled, **filter_bar(form)}
    )


@require_POST
@member(Action.SEE_EVENT_LOG)
def export_week(request: MemberRequest) -> HttpResponseBase:
    """The week as CSV: a line per rule and outcome."""
    monday = _monday(WeekForm(request.POST).day())
    reconciled = reconcile(
        request.membership.company_id, monday, connection_status(request).connection
    )
    return export(
        request,
        what=f"reconcile {monday}",
        head=RECONCILE_HEAD,
        rows=_lines(reconciled),
        back_to="reconcile",
    )


def _monday(day: date | None) -> date:
    """The Monday of the day's week, between the oldest week still stored and this week. None means last week."""
    this_monday = monday_of(timezone.localdate())
    if day is None:
        return this_monday - WEEK
    return min(max(monday_of(day), earliest_week()), this_monday)


def _lines(reconciled: Week) -> Iterator[list[object]]:
    for row in reconciled.rules:
        rule = row.rule
        names = [
            rule.name,
            rule.linkedin_id,
            rule.crm_event,
            rule.get_crm_event_display(),
        ]
        columns = [reconciled.monday, *names, row.crm_events]
        for line in row.lines:
            yield [*columns, line.words.label, line.words.what, line.count]
