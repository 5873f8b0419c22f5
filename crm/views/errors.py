"""Error pages. They need neither a company nor the database."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.signals import got_request_exception
from django.db import DataError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.template.loader import render_to_string

from crm.accounts.callers import PROGRAM_PATHS
from crm.models.lead import PersonErased
from crm.models.tracking.tracked import DeletedMeanwhile
from postgresql import saving
from postgresql.availability import Unavailable, why_unavailable

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
SORRY: Final = "Something went wrong. Your changes may not have been saved: check before you send them again."

# In the words of psycopg, which raises it before it sends anything.
NUL: Final = "cannot contain NUL"
UNREADABLE: Final = (
    "This request can't be read. Go back to the form, reload the page, then try again."
)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    # Django's other messages name settings.
    sentence = (
        str(exception) if isinstance(exception, MultiPartParserError) else UNREADABLE
    )
    if request.path_info.startswith(PROGRAM_PATHS):
        return JsonResponse({"detail": sentence}, status=400)
    return HttpResponse(
        render_to_string("400.html", {"sentence": sentence}), status=400
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", {"sentence": str(exception)}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def conflict(request: HttpRequest, sentence: str) -> HttpResponse:
    return render(request, "409.html", {"sentence": sentence}, status=409)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an exception that nothing has handled: 503 if the database was unavailable, else 500."""
    reason = _reason(request)
    if reason is not None:
        return unavailable(request, reason)
    if request.path_info.startswith(PROGRAM_PATHS):
        return JsonResponse({"detail": SORRY}, status=500)
    # Without the request, because a context processor may have failed.
    context = {"request_id": _number(request)}
    return HttpResponse(render_to_string("500.html", context), status=500)


def _number(request: HttpRequest) -> str:
    """Return the request's number, by which an operator finds it in the log; "" if it failed before it had one."""
    return getattr(request, "request_id", "")


# The database is unavailable


@dataclass(frozen=True, slots=True)
class Outage:
    """What people read about it: what is wrong, and what to do. `retry_after` is in seconds."""

    heading: str
    what: str
    what_to_do: str
    retry_after: int


OUTAGES: Final = {
    Unavailable.UNREACHABLE: Outage(
        "The database can't be reached",
        "LeadMachine can't reach its database right now.",
        "Try again in a moment.",
        10,
    ),
    Unavailable.OVERLOADED: Outage(
        "Too busy right now",
        "The database has no room for this request right now.",
        "Try again in a moment.",
        10,
    ),
    Unavailable.NO_SPACE: Outage(
        "No space left",
        "The database has no space left on its disk.",
        "Ask the operator of LeadMachine to make room, then try again.",
        60,
    ),
    Unavailable.READ_ONLY: Outage(
        "Read-only right now",
        "The database is read-only right now.",
        "Try again in a few minutes. If it lasts, contact the operator of LeadMachine.",
        60,
    ),
    Unavailable.TOO_SLOW: Outage(
        "That took too long",
        "The database took too long for this, so it was stopped.",
        "Try again in a moment, or do less at once.",
        10,
    ),
}
NOTHING_SAVED: Final = "Nothing was saved."
MAY_BE_SAVED: Final = "Your change may have been saved: check before you send it again."


def unavailable(request: HttpRequest, reason: Unavailable) -> HttpResponse:
    """Return the 503 response, which says whether this request has saved anything."""
    outage = OUTAGES[reason]
    is_safe = request.method in SAFE_METHODS
    sentence = " ".join(
        filter(
            None, (outage.what, "" if is_safe else _what_was_saved(), outage.what_to_do)
        )
    )
    headers = {"Retry-After": str(outage.retry_after)}
    if request.path_info.startswith(PROGRAM_PATHS):
        return JsonResponse({"detail": sentence}, status=503, headers=headers)
    # Without the request, because context processors query the database. A link can only repeat a GET. What someone has
    # typed is still in the form before this page: browsers keep it, because pages with forms are not `no-store`.
    again = request.get_full_path() if request.method == "GET" else ""
    context = {
        "heading": outage.heading,
        "sentence": sentence,
        "again": again,
        "is_form": not is_safe,
        "request_id": _number(request),
    }
    return HttpResponse(
        render_to_string("503.html", context), status=503, headers=headers
    )


def _what_was_saved() -> str:
    return MAY_BE_SAVED if saving.may_have_saved() else NOTHING_SAVED


@receiver(got_request_exception)
def _note_reason(request: HttpRequest, **kwargs: Any) -> None:
    """Note whether the database was unavailable. Django sends this for exceptions in views and middleware alike."""
    request.unavailable = why_unavailable(sys.exception())  # type: ignore[attr-defined]


def _reason(request: HttpRequest) -> Unavailable | None:
    return getattr(request, "unavailable", None)


class UnavailableMiddleware:
    """Counts what a request saves, from its view on: a session or the last use of a key are not the user's change.

    With DEBUG, Django makes a page for developers of each exception and doesn't call `server_error`: here that page is
    replaced if the database was unavailable.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        saving.begin()
        response = self.get_response(request)
        reason = _reason(request) if settings.DEBUG else None
        return response if reason is None else unavailable(request, reason)

    def process_view(self, request: HttpRequest, *view: Any) -> None:
        saving.begin()


class ExplainedErrorsMiddleware:
    """Turns a write to an erased lead into a 409 page with a message, and to a deleted row into a 404 page.

    A NUL that no form has rejected, and that psycopg doesn't send, becomes a 400.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        if isinstance(exception, DeletedMeanwhile):
            return not_found(request, exception)
        if isinstance(exception, DataError) and NUL in str(exception):
            return bad_request(request, exception)
        if isinstance(exception, PersonErased):
            return conflict(request, str(exception))
        return None
