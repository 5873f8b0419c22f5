"""The week's reconcile: a page, and the same numbers as a file."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from capi.context_processors import line_of
from capi.forms import WeekForm
from capi.reads.moments import WEEK, monday_of
from capi.reads.reconcile import Week, earliest_week, reconcile
from crm.roles import Action
from crm.views.access import MemberRequest, member
from crm.views.exports import export

HEAD: Final = ("week", "rule", "linkedin_id", "crm_event", "crm_events", "state", "why", "count")


@require_safe
@member(Action.SEE_EVENT_LOG)
def week(request: MemberRequest) -> HttpResponse:
    """What became of the CRM events of a week: the one with the day `?week=`, or else the last whole one."""
    form = WeekForm(request.GET)
    chosen = _monday(form.day())
    found = reconcile(request.membership.company_id, chosen, line_of(request).connection)
    return render(request, "capi/reconcile.html", {"week": found, "not_understood": bool(form.errors)})


@require_POST
@member(Action.SEE_EVENT_LOG)
def export_week(request: MemberRequest) -> HttpResponseBase:
    """The week as CSV: a line for each rule and what became."""
    monday = _monday(WeekForm(request.POST).day())
    found = reconcile(request.membership.company_id, monday, line_of(request).connection)
    return export(request, what=f"reconcile {monday}", head=HEAD, rows=_lines(found), back_to="reconcile")


def _monday(day: date | None) -> date:
    """The week's Monday, not ahead of this week's and not of a week that is no longer kept."""
    this = monday_of(timezone.localdate())
    return this - WEEK if day is None else min(max(monday_of(day), earliest_week()), this)


def _lines(found: Week) -> Iterator[list[object]]:
    for one in found.rules:
        rule = [found.monday, one.rule.name, one.rule.linkedin_id, one.rule.crm_event, one.crm_events]
        for line in one.lines:
            yield [*rule, line.words.label, line.words.what, line.count]
