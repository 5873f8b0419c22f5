"""Error pages. They need neither a company nor the database."""

import logging
from collections.abc import Callable

from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.template.loader import render_to_string

from crm.models.lead import PersonErased
from crm.models.tracking import DeletedMeanwhile
from postgresql.bounds import took_too_long

logger = logging.getLogger(__name__)

API = "/api/"
# If the database goes away during a commit, its outcome is unknown, so the message claims nothing.
SORRY = "Something went wrong. Your changes may not have been saved: check before you send them again."
# Each service writes in one transaction, which has been rolled back with the statement.
TOO_LONG = (
    "The database took too long for this, so it was stopped. Nothing is half done: check what is there now, then try "
    "again in a moment, or do less at once."
)

# In the words of psycopg, which raises it before it sends anything.
NUL = "cannot contain NUL"
UNREADABLE = "This request can't be read. Go back to the form, reload the page, then try again."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    # Django's other messages name settings.
    sentence = str(exception) if isinstance(exception, MultiPartParserError) else UNREADABLE
    if request.path_info.startswith(API):
        return JsonResponse({"detail": sentence}, status=400)
    return HttpResponse(render_to_string("400.html", {"sentence": sentence}), status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", {"sentence": str(exception)}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path_info.startswith(API):
        return JsonResponse({"detail": SORRY}, status=500)
    # Without the request, because a context processor may have failed.
    return HttpResponse(render_to_string("500.html"), status=500)


def conflict(request: HttpRequest, sentence: str) -> HttpResponse:
    return render(request, "409.html", {"sentence": sentence}, status=409)


def took_long(request: HttpRequest) -> HttpResponse:
    if request.path_info.startswith(API):
        return JsonResponse({"detail": TOO_LONG}, status=503)
    # Without the request, because context processors query the database. A link can only repeat a GET.
    again = request.get_full_path() if request.method == "GET" else ""
    return HttpResponse(render_to_string("503.html", {"sentence": TOO_LONG, "again": again}), status=503)


class ExplainedErrorsMiddleware:
    """Turns a write to an erased lead into a 409 page with a message, and to a deleted row into a 404 page.

    A NUL that no form has rejected, and that psycopg doesn't send, becomes a 400. A statement that reached its time
    limit, in a page or in the API, becomes a 503 that says what to do.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, DeletedMeanwhile):
            return not_found(request, exception)
        if isinstance(exception, DataError) and NUL in str(exception):
            return bad_request(request, exception)
        if isinstance(exception, OperationalError) and took_too_long(exception):
            logger.warning("A statement reached its time limit: %s", request.path, exc_info=exception)
            return took_long(request)
        return conflict(request, str(exception)) if isinstance(exception, PersonErased) else None
