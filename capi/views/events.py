"""Recent Events: the log, one event in full, retry and cancel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from capi import services
from capi.forms.events import EventFilterForm
from capi.models import MAX_ID_DIGITS, ConversionEvent, ConversionRule
from capi.selectors.connection import connection_status
from capi.selectors.event_actions import (
    BulkPreview,
    ChosenEvents,
    allowed_actions,
    chosen_by_filter,
    chosen_by_id,
    preview_of_cancelling,
    preview_of_retrying,
)
from capi.selectors.event_detail import attempts_of, request_preview
from capi.selectors.events import STRETCH, all_rows, log_page
from capi.selectors.explained_events import ExplainedEvent, explained
from capi.selectors.on_hold import on_hold
from capi.selectors.state_groups import PARTS, WHOLES, StateFilter
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.views.exports import export
from crm.views.shell import back_to

# --- Retry and cancel: what would happen to the chosen events, and then doing it.


@dataclass(frozen=True, slots=True)
class BulkAction:
    """One of the two things that can be asked of events, with its words."""

    infinitive: str
    is_retry: bool
    outlook: Callable[[int, ChosenEvents], BulkPreview]
    do: Callable[..., services.BulkResult]
    done: str


RETRY: Final = BulkAction("Retry", True, preview_of_retrying, services.retry_events, "went back into the queue")
CANCEL: Final = BulkAction("Cancel", False, preview_of_cancelling, services.cancel_events, "will not be sent")


@member(Action.CHANGE_EVENTS)
def retry(request: MemberRequest) -> HttpResponse:
    """Ask, then put the chosen events back into the queue."""
    return _asked(request, RETRY)


@member(Action.CHANGE_EVENTS)
def cancel(request: MemberRequest) -> HttpResponse:
    """Ask, then call the chosen events off."""
    return _asked(request, CANCEL)


def _asked(request: MemberRequest, verb: BulkAction) -> HttpResponse:
    """The same address asks and does: it names the events by id, or by the filter of the log."""
    company = request.membership.company
    choice = _choice(request, verb)
    one = _only_one(request, choice)
    back = one.get_absolute_url() if one else back_to(request, default=reverse("events"))
    if "ticked" in request.GET and not choice.pks:
        messages.warning(request, "Tick the events first.")
        return redirect(back)
    if request.method == "POST":
        done = verb.do(company=company, pks=choice.pks, about=one)
        reached = done.reached or choice.more_behind
        rest = " Go on with what is left." if reached else ""
        messages.success(request, f"{done.events:,} event{'' if done.events == 1 else 's'} {verb.done}.{rest}")
        return redirect(_of_rest(request, reached, back) if reached else back)
    context = {"verb": verb, "choice": choice, "outlook": verb.outlook(company.pk, choice), "one": one, "back": back}
    return render(request, "capi/events/confirm.html", context)


def _of_rest(request: MemberRequest, reached: int, back: str) -> str:
    """The question about what is behind the event that was reached. Only for what was asked for by the filter."""
    query = request.GET.copy()
    query["after"], query["next"] = str(reached), back
    return f"{request.path}?{query.urlencode()}"


def _choice(request: MemberRequest, verb: BulkAction) -> ChosenEvents:
    company_id = request.membership.company_id
    if "event" in request.GET or "ticked" in request.GET:
        return chosen_by_id(company_id, _ids(request.GET.getlist("event")))
    wanted = EventFilterForm(request.GET, company=request.membership.company).wanted()
    choice = chosen_by_filter(company_id, wanted, connection_status(request).connection, retry=verb.is_retry)
    # What came in after the question was asked is not part of the answer.
    until = next(iter(_ids([request.POST.get("until", "")])), None)
    return replace(choice, pks=[pk for pk in choice.pks if pk <= until]) if until else choice


def _only_one(request: MemberRequest, choice: ChosenEvents) -> ConversionEvent | None:
    if len(choice.pks) != 1 or "ticked" in request.GET or "event" not in request.GET:
        return None
    events = ConversionEvent.objects.for_company(request.membership.company_id)
    return events.select_related("rule", "crm_event").get(pk=choice.pks[0])


def _ids(texts: Sequence[str]) -> list[int]:
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < MAX_ID_DIGITS]


# --- Recent Events, and one event in full.

HEAD: Final = (
    "recorded_at", "happened_at", "event_id", "crm_event", "rule", "linkedin_rule_id", "state", "why", "http_status",
    "attempts", "settled_at", "lead_id", "deal_id", "is_test",
)  # fmt: skip


@require_safe
@vary_on_headers("HX-Request")
@member(Action.SEE_EVENT_LOG)
def events(request: MemberRequest) -> HttpResponse:
    """The log; for htmx just its rows, which ask for themselves again."""
    company = request.membership.company
    form = EventFilterForm(request.GET, company=company)
    wanted = form.wanted()
    connection = connection_status(request).connection
    rules = [] if request.htmx else list(ConversionRule.objects.for_company(company))
    return render(
        request,
        "capi/events/_event_rows.html" if request.htmx else "capi/events/list.html",
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
    whole = WHOLES.get(StateFilter(chosen), StateFilter(chosen))
    wholes, parts = [chip for chip in StateFilter if chip not in WHOLES], PARTS.get(whole, ())
    return {
        "chips": [(chip.value, chip.label, chip == whole) for chip in wholes],
        "parts": [(chip.value, chip.label, chip == chosen) for chip in parts],
    }


@require_POST
@member(Action.SEE_EVENT_LOG)
def events_export(request: MemberRequest) -> HttpResponseBase:
    """All that the page's filters let through, as CSV: with ids, and nothing else of the leads."""
    company_id, connection = request.membership.company_id, connection_status(request).connection
    wanted = EventFilterForm(request.POST, company=request.membership.company).wanted()
    rows = map(_row, all_rows(company_id, wanted, connection))
    return export(request, what="event log", head=HEAD, rows=rows, back_to="events")


def _row(row: ExplainedEvent) -> list[object]:
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
    row, attempts = explained(event, connection_status(request).connection), attempts_of(event)
    return render(
        request,
        "capi/events/_event.html" if request.htmx else "capi/events/detail.html",
        {
            "row": row,
            "event": event,
            "attempts": attempts,
            "wire": request_preview(event, attempts),
            "possible": allowed_actions(event) if request.membership.may(Action.CHANGE_EVENTS) else None,
        },
    )
