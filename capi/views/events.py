"""Recent Events, and one event in full."""

from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from capi.context_processors import line_of
from capi.forms import EventFilterForm
from capi.models import ConversionEvent, ConversionRule
from capi.reads.by_hand import possible_with
from capi.reads.log import PARTS, STRETCH, WHOLES, Chip, all_rows, log_page
from capi.reads.on_hold import on_hold
from capi.reads.one_event import attempts_of, wire_of
from capi.reads.shown import Shown, shown
from crm.roles import Action
from crm.views.access import MemberRequest, member
from crm.views.exports import export

HEAD: Final = (
    "recorded_at", "happened_at", "event_id", "crm_event", "rule", "linkedin_rule_id", "state", "why", "http_status",
    "attempts", "settled_at", "lead_id", "deal_id", "is_test",
)  # fmt: skip


@require_safe
@vary_on_headers("HX-Request")
@member(Action.SEE_EVENT_LOG)
def log(request: MemberRequest) -> HttpResponse:
    """The log; for htmx just its rows, which ask for themselves again."""
    company = request.membership.company
    form = EventFilterForm(request.GET, company=company)
    wanted = form.wanted()
    connection = line_of(request).connection
    rules = [] if request.htmx else list(ConversionRule.objects.for_company(company))
    return render(
        request,
        "capi/_event_rows.html" if request.htmx else "capi/event_list.html",
        {
            "form": form,
            "wanted": wanted,
            **_chips(wanted.chip),
            "page": log_page(company.pk, wanted, connection),
            "held": None if request.htmx else on_hold(company.pk, connection, rules),
            "stretch": STRETCH,
        },
    )


def _chips(chosen: str) -> dict[str, list[tuple[str, str, bool]]]:
    """The states to choose from, and the parts of the chosen one where it has some, each with whether it is chosen."""
    whole = WHOLES.get(Chip(chosen), Chip(chosen))
    wholes, parts = [chip for chip in Chip if chip not in WHOLES], PARTS.get(whole, ())
    return {
        "chips": [(chip.value, chip.label, chip == whole) for chip in wholes],
        "parts": [(chip.value, chip.label, chip == chosen) for chip in parts],
    }


@require_POST
@member(Action.SEE_EVENT_LOG)
def log_export(request: MemberRequest) -> HttpResponseBase:
    """All that the page's filters let through, as CSV: with ids, and nothing else of the leads."""
    company_id, connection = request.membership.company_id, line_of(request).connection
    wanted = EventFilterForm(request.POST, company=request.membership.company).wanted()
    rows = map(_row, all_rows(company_id, wanted, connection))
    return export(request, what="event log", head=HEAD, rows=rows, back_to="events")


def _row(row: Shown) -> list[object]:
    event = row.event
    return [
        event.created_at.isoformat(), event.happened_at.isoformat(), event.event_id, row.title, event.rule.name,
        event.rule.linkedin_id, row.words.label, row.why, event.http_status, event.attempts,
        event.settled_at.isoformat() if event.settled_at else None, event.lead_id, event.deal_id,
        "yes" if event.is_test else "no",
    ]  # fmt: skip


@require_safe
@vary_on_headers("HX-Request")
@member(Action.SEE_EVENT_LOG)
def detail(request: MemberRequest, pk: int) -> HttpResponse:
    """One event: its state and what to do, every attempt, and the JSON."""
    events = ConversionEvent.objects.for_company(request.membership.company_id)
    event = get_object_or_404(events.select_related("rule", "lead", "deal", "crm_event", "last_attempt"), pk=pk)
    row, attempts = shown(event, line_of(request).connection), attempts_of(event)
    return render(
        request,
        "capi/_event.html" if request.htmx else "capi/event_detail.html",
        {
            "row": row,
            "event": event,
            "attempts": attempts,
            "wire": wire_of(event, attempts),
            "possible": possible_with(event) if request.membership.may(Action.CHANGE_EVENTS) else None,
        },
    )
