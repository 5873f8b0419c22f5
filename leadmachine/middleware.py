"""Middleware for every response: headers, probes, and allowed methods."""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.template.loader import render_to_string

from leadmachine.views import PROBES

PERMISSIONS_POLICY: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer", "microphone",
        "midi", "payment", "usb",
    )
)  # fmt: skip
PAGE_METHODS: Final = ("GET", "HEAD", "POST")
PROBE_METHODS: Final = ("GET", "HEAD")
API: Final = "/api/"

Next = Callable[[HttpRequest], HttpResponse]


class ClosedByDefaultMiddleware:
    """Forbids browsers and proxies to cache a response, unless it sets its own header as static files do.

    So "Back" after signing out shows nothing, and no shared cache shows one user another's page.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store, private")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response


class ProbesMiddleware:
    """Answers /healthz and /readyz before anything checks the host or needs a session or the database.

    Probes use the machine's address, which is not in ALLOWED_HOSTS.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        return probe(request) if request.method in PROBE_METHODS else HttpResponseNotAllowed(PROBE_METHODS)


class PageMethodsMiddleware:
    """Allows only GET, HEAD and POST for pages. API views define their own methods."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in PAGE_METHODS and not request.path_info.startswith(API):
            return HttpResponseNotAllowed(PAGE_METHODS)
        return self.get_response(request)


class NotAllowedPageMiddleware:
    """Adds content to an empty 405: a page for browsers, for example after Enter in the address bar, JSON for the API.

    It is the innermost middleware, so that all others treat the page as the view's response.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            if request.path_info.startswith(API):
                detail = f'Method "{request.method}" not allowed.'
                return JsonResponse({"detail": detail}, status=405, headers={"Allow": response["Allow"]})
            response.content = render_to_string("405.html", request=request)
        return response
