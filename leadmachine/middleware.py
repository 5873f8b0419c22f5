"""What holds for every answer, whichever view gave it."""

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
    """No answer may be kept by a browser or a proxy unless it says itself for how long, as static files do.

    "Back" after signing out shows nothing then, and no cache in between mixes people up (S17, S44).
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store, private")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response


class ProbesMiddleware:
    """Answers /healthz and /readyz before anything asks for the host, a session or the database.

    A probe comes by the address of the machine, which is none of ALLOWED_HOSTS.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        return probe(request) if request.method in PROBE_METHODS else HttpResponseNotAllowed(PROBE_METHODS)


class PageMethodsMiddleware:
    """Pages know three methods (S12). The API's views name their own."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in PAGE_METHODS and not request.path_info.startswith(API):
            return HttpResponseNotAllowed(PAGE_METHODS)
        return self.get_response(request)


class NotAllowedPageMiddleware:
    """Gives an empty 405 a page: a browser asked for what only a form sends, as when one presses Enter in its address.
    Scripts get a sentence in JSON.

    Stands nearest to the views, so that all others take the page for what the view answered.
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
