"""What is shown instead of a page that can't be. These pages stand alone: they need no company and no database."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from crm.models.lead import PersonErased
from crm.models.tracking import DeletedMeanwhile

API = "/api/"
# A database that went away in mid-commit leaves nobody knowing whether it saved, so this does not claim to know.
SORRY = "Something went wrong here. What you sent may not have been saved: look before you send it again."


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", {"sentence": str(exception)}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path_info.startswith(API):
        return JsonResponse({"detail": SORRY}, status=500)
    # Without the request: a context processor may be what failed.
    return HttpResponse(render_to_string("500.html"), status=500)


def conflict(request: HttpRequest, sentence: str) -> HttpResponse:
    return render(request, "409.html", {"sentence": sentence}, status=409)


class GoneMeanwhileMiddleware:
    """Answers with 409 and a sentence, or with 404, where a page would write what was erased or deleted since."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, DeletedMeanwhile):
            return not_found(request, exception)
        return conflict(request, str(exception)) if isinstance(exception, PersonErased) else None
