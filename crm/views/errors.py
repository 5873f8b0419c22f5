"""Error pages. They need neither a company nor the database."""

from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.template.loader import render_to_string

from crm.models.lead import PersonErased
from crm.models.tracking import DeletedMeanwhile

API = "/api/"
# If the database goes away during a commit, nobody knows whether it saved, so the message doesn't claim to.
SORRY = "Something went wrong. Your changes may not have been saved: check before you send them again."

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


class GoneMeanwhileMiddleware:
    """Turns a write to an erased lead into a 409 page with a message, and to a deleted row into a 404 page.

    A NUL that no form has refused, and that PostgreSQL can't be asked with, is a bad request.
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
        return conflict(request, str(exception)) if isinstance(exception, PersonErased) else None
