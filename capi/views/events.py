"""Recent Events: the log, one event in detail, retry and cancel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)
from django.views.decorators.vary import vary_on_headers

from capi import services
from capi.forms.events import EventFilterForm
from capi.models import ConversionEvent
from capi.models.connection import is_sending
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
from capi.selectors.event_counts import BoundedCount, chip_counts
from capi.selectors.event_detail import attempts_of, request_preview, response_to
from capi.selectors.events import STRETCH, EventFilter, all_rows, log_page
from capi.selectors.explained_events import ExplainedEvent, explained
from capi.selectors.state_groups import PARTS, WHOLES, StateFilter
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.services import rate_limits
from crm.services.searches import recall_search
from crm.views.downloads import export
from crm.views.filtering import filter_bar, to_filtered
from crm.views.shell import back_to

# Retry and cancel: preview, confirm, do.


@dataclass(frozen=True, slots=True)
class BulkAction:
    """Retry or cancel, with its texts."""

    infinitive: str
    participle: str
    is_retry: bool
    outlook: Callable[[int, ChosenEvents], BulkPreview]
    do: Callable[..., services.BulkResult]
    done: str


RETRY: Final = BulkAction(
    "Retry", "retried", True, preview_of_retrying, services.retry_events, "queued again"
)
CANCEL: Final = BulkAction(
    "Cancel",
    "cancelled",
    False,
    preview_of_cancelling,
    services.cancel_events,
    "cancelled",
)
# Of a company, of one event or of many; the latter take 5 seconds each.
CHANGES_PER_MINUTE: Final = 30


@member(Action.CHANGE_EVENTS)
def retry(request: MemberRequest) -> HttpResponse:
    """Confirm, then queue the chosen events again."""
    return _confirm_or_do(request, RETRY)


@member(Action.CHANGE_EVENTS)
def cancel(request: MemberRequest) -> HttpResponse:
    """Confirm, then cancel the chosen events."""
    return _confirm_or_do(request, CANCEL)


def _confirm_or_do(request: MemberRequest, verb: BulkAction) -> HttpResponse:
    """GET asks for confirmation, POST acts. The query string selects the events, by id or by the log's filter."""
    company = request.membership.company
    choice = _choice(request, verb)
    one = _only_one(request, choice)
    back = (
        one.get_absolute_url() if one else back_to(request, default=reverse("events"))
    )
    if "ticked" in request.GET and not choice.pks:
        messages.warning(request, "Select events first.")
        return redirect(back)
    if request.method == "POST":
        return _do(request, verb, choice, one, back)
    context = {
        "verb": verb,
        "choice": choice,
        "outlook": verb.outlook(company.pk, choice),
        "one": one,
        "back": back,
    }
    return render(request, "capi/events/confirm.html", context)


def _do(
    request: MemberRequest,
    verb: BulkAction,
    choice: ChosenEvents,
    one: ConversionEvent | None,
    back: str,
) -> HttpResponse:
    company = request.membership.company
    try:
        rate_limits.check(
            "event-changes", company_id=company.pk, at_most=CHANGES_PER_MINUTE
        )
    except rate_limits.TooOften as error:
        messages.error(request, f"Nothing was {verb.participle}. {error}")
        return redirect(back)
    result = verb.do(company=company, pks=choice.pks, about=one)
    reached = result.reached or choice.more_behind
    hint = " Continue with the rest." if reached else ""
    messages.success(
        request,
        f"{result.events:,} event{'' if result.events == 1 else 's'} {verb.done}.{hint}",
    )
    return redirect(_rest_url(request, reached, back) if reached else back)


def _rest_url(request: MemberRequest, reached: int, back: str) -> str:
    """The confirmation page for the events after `reached`. Only for events chosen by the filter."""
    query = request.GET.copy()
    query["after"], query["next"] = str(reached), back
    return f"{request.path}?{query.urlencode()}"


def _choice(request: MemberRequest, verb: BulkAction) -> ChosenEvents:
    company_id, connection = (
        request.membership.company_id,
        connection_status(request).connection,
    )
    if "event" in request.GET or "ticked" in request.GET:
        choice = chosen_by_id(company_id, _ids(request.GET.getlist("event")))
        return replace(choice, is_sending=is_sending(connection))
    _, event_filter = _filter(request, request.GET)
    choice = chosen_by_filter(company_id, event_filter, connection, retry=verb.is_retry)
    choice = replace(choice, is_sending=is_sending(connection))
    # Events that arrived after the confirmation page was shown were not confirmed.
    until = next(iter(_ids([request.POST.get("until", "")])), None)
    if until:
        return replace(choice, pks=[pk for pk in choice.pks if pk <= until])
    return choice


def _only_one(request: MemberRequest, choice: ChosenEvents) -> ConversionEvent | None:
    if len(choice.pks) != 1 or "ticked" in request.GET or "event" not in request.GET:
        return None
    events = ConversionEvent.objects.for_company(request.membership.company_id)
    return events.select_related("rule", "crm_event").get(pk=choice.pks[0])


def _ids(texts: Sequence[str]) -> list[int]:
    return [int(text) for text in texts if is_number(text)]


# The log and one event.

HEAD: Final = (
    "recorded_at",
    "happened_at",
    "event_id",
    "crm_event",
    "crm_event_label",
    "rule",
    "linkedin_id",
    "state",
    "state_label",
    "reason",
    "why",
    "http_status",
    "attempts",
    "settled_at",
    "lead_id",
    "deal_id",
    "is_test",
)
ROWS: Final = "rows"  # the id of the part that polls for changes


@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request", "HX-Trigger")
@member(Action.SEE_EVENT_LOG)
def events(request: MemberRequest) -> HttpResponse:
    """The log, filtered by the URL. The filter form is posted here and redirects to such a URL."""
    if request.method == "POST":
        return to_filtered(
            request,
            [
                name
                for name in EventFilterForm.base_fields
                if name not in ("before", "after")
            ],
        )
    form, event_filter = _filter(request, request.GET)
    company_id, connection = (
        request.membership.company_id,
        connection_status(request).connection,
    )
    context = {
        "wanted": event_filter,
        "page": log_page(company_id, event_filter, connection),
        "stretch": STRETCH,
    }
    if request.htmx.trigger == ROWS:
        return render(request, "capi/events/_event_rows.html", context)
    form.offer_reasons(request.membership.company)
    chips = _chips(event_filter.chip, chip_counts(company_id, event_filter, connection))
    bar = filter_bar(
        form,
        unfolding=("since", "until", "week", "request"),
        kept={"state": event_filter.chip},
    )
    context |= {
        **chips,
        **bar,
        "is_narrowed": event_filter.is_narrowed,
        "search": event_filter.search,
    }
    return render(request, "capi/events/list.html", context)


def _filter(
    request: MemberRequest, data: QueryDict
) -> tuple[EventFilterForm, EventFilter]:
    """The form and filter for these parameters. `search` is the key of a stored search; an unknown key is ignored."""
    text, known = recall_search(request.membership, data.get("search", "")), data.copy()
    if not text:
        known.pop("search", None)
    form = EventFilterForm(known, company=request.membership.company)
    return form, form.to_filter(text)


@dataclass(frozen=True, slots=True)
class Chip:
    """A state to filter by. `count` is None where counting would take too long."""

    value: str
    label: str
    is_current: bool
    count: BoundedCount | None


def _chips(chosen: str, counts: Mapping[str, BoundedCount]) -> dict[str, Any]:
    """The states, and the parts of the selected state if it has any."""
    whole = WHOLES.get(StateFilter(chosen), StateFilter(chosen))
    wholes, parts = (
        [chip for chip in StateFilter if chip not in WHOLES],
        PARTS.get(whole, ()),
    )
    return {
        "chips": [
            Chip(chip.value, str(chip.label), chip == whole, counts.get(chip))
            for chip in wholes
        ],
        "parts": [
            Chip(chip.value, str(chip.label), chip == chosen, counts.get(chip))
            for chip in parts
        ],
    }


@require_POST
@member(Action.SEE_EVENT_LOG)
def events_export(request: MemberRequest) -> HttpResponseBase:
    """All events that match the filters, as CSV. Leads appear only by id."""
    company_id, connection = (
        request.membership.company_id,
        connection_status(request).connection,
    )
    _, event_filter = _filter(request, request.POST)
    rows = map(_row, all_rows(company_id, event_filter, connection))
    return export(request, what="event log", head=HEAD, rows=rows, back_to="events")


def _row(row: ExplainedEvent) -> list[object]:
    event = row.event
    return [
        event.created_at.isoformat(),
        event.happened_at.isoformat(),
        event.event_id,
        row.kind.value,
        row.title,
        event.rule.name,
        event.rule.linkedin_id,
        event.state,
        row.words.label,
        event.reason,
        row.why,
        event.http_status,
        event.attempts,
        event.settled_at.isoformat() if event.settled_at else None,
        event.lead_id,
        event.deal_id,
        "yes" if event.is_test else "no",
    ]


@require_safe
@vary_on_headers("HX-Request")
@member(Action.SEE_EVENT_LOG)
def detail(request: MemberRequest, pk: int) -> HttpResponse:
    """One event: its state, what to do, every attempt, and the JSON."""
    events = ConversionEvent.objects.for_company(request.membership.company_id)
    event = get_object_or_404(
        events.select_related("rule", "lead", "deal", "crm_event", "last_attempt"),
        pk=pk,
    )
    row, attempts = (
        explained(event, connection_status(request).connection),
        attempts_of(event),
    )
    return render(
        request,
        "capi/events/_event.html" if request.htmx else "capi/events/detail.html",
        {
            "row": row,
            "event": event,
            "attempts": attempts,
            "response": response_to(event, attempts),
            "wire": request_preview(event, attempts),
            "possible": allowed_actions(event)
            if request.membership.may(Action.CHANGE_EVENTS)
            else None,
        },
    )
