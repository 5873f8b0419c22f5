"""Retry and cancel: what would happen to the chosen events, and then doing it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from capi import services
from capi.context_processors import line_of
from capi.forms import EventFilterForm
from capi.models import MAX_ID_DIGITS, ConversionEvent
from capi.reads.by_hand import (
    Choice,
    Outlook,
    chosen_by_filter,
    chosen_by_id,
    outlook_of_cancelling,
    outlook_of_retrying,
)
from crm.roles import Action
from crm.views.access import MemberRequest, member
from crm.views.shell import back_to


@dataclass(frozen=True, slots=True)
class Verb:
    """One of the two things that can be asked of events, with its words."""

    infinitive: str
    is_retry: bool
    outlook: Callable[[int, Choice], Outlook]
    do: Callable[..., services.Done]
    done: str


RETRY: Final = Verb("Retry", True, outlook_of_retrying, services.retry_events, "went back into the queue")
CANCEL: Final = Verb("Cancel", False, outlook_of_cancelling, services.cancel_events, "will not be sent")


@member(Action.CHANGE_EVENTS)
def retry(request: MemberRequest) -> HttpResponse:
    """Ask, then put the chosen events back into the queue."""
    return _asked(request, RETRY)


@member(Action.CHANGE_EVENTS)
def cancel(request: MemberRequest) -> HttpResponse:
    """Ask, then call the chosen events off."""
    return _asked(request, CANCEL)


def _asked(request: MemberRequest, verb: Verb) -> HttpResponse:
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
    return render(request, "capi/events_confirm.html", context)


def _of_rest(request: MemberRequest, reached: int, back: str) -> str:
    """The question about what is behind the event that was reached. Only for what was asked for by the filter."""
    query = request.GET.copy()
    query["after"], query["next"] = str(reached), back
    return f"{request.path}?{query.urlencode()}"


def _choice(request: MemberRequest, verb: Verb) -> Choice:
    company_id = request.membership.company_id
    if "event" in request.GET or "ticked" in request.GET:
        return chosen_by_id(company_id, _ids(request.GET.getlist("event")))
    wanted = EventFilterForm(request.GET, company=request.membership.company).wanted()
    choice = chosen_by_filter(company_id, wanted, line_of(request).connection, retry=verb.is_retry)
    # What came in after the question was asked is not part of the answer.
    until = next(iter(_ids([request.POST.get("until", "")])), None)
    return replace(choice, pks=[pk for pk in choice.pks if pk <= until]) if until else choice


def _only_one(request: MemberRequest, choice: Choice) -> ConversionEvent | None:
    if len(choice.pks) != 1 or "ticked" in request.GET or "event" not in request.GET:
        return None
    events = ConversionEvent.objects.for_company(request.membership.company_id)
    return events.select_related("rule", "crm_event").get(pk=choice.pks[0])


def _ids(texts: Sequence[str]) -> list[int]:
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < MAX_ID_DIGITS]
