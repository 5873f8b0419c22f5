"""A number for each request: in its log lines, in its response, and on the page that says something went wrong."""

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from crm.accounts.client_addresses import came_by_our_proxy

HEADER: Final = "X-Request-ID"
# A UUID or 32 hexadecimal digits, as proxies make them. Anything else might be an address or a token.
WELL_FORMED: Final = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """Return the number of the request that this thread answers; "" outside of requests."""
    return _current.get()


class RequestIdMiddleware:
    """Gives each request the number that our own proxy sent, or a new one, and returns it with the response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        number = _from_proxy(request) or str(uuid.uuid4())
        _current.set(number)
        request.request_id = number  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers[HEADER] = number
        return response


def _from_proxy(request: HttpRequest) -> str:
    """Return the well-formed number that a proxy in TRUSTED_PROXIES sent, otherwise ""."""
    number = request.headers.get(HEADER, "")
    if WELL_FORMED.fullmatch(number) and came_by_our_proxy(request):
        return number
    return ""


@receiver(request_finished)
def _forget(**kwargs: Any) -> None:
    """Forget the number. Not in the middleware: Django logs a refused request only after all middleware."""
    _current.set("")
