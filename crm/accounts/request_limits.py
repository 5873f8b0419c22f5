"""Limits for requests: no person, company or address occupies a web process and delays everyone else.

Who asks is known after three queries. What is known of a session or an API key since its last request is checked before
them, so refusing a flood costs none. docs/decisions/limits-of-requests.md has the reasons and the numbers.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, TypeVar

from allauth.core.internal.ratelimit import truncate_ip
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve

from crm.accounts.adapter import client_address
from crm.accounts.bodies import handler_of
from crm.accounts.limiter import Key, Limits, limiter, shares
from crm.models import Membership, User
from crm.services.rate_limits import seconds_left

logger = logging.getLogger(__name__)

V = TypeVar("V", bound=Callable[..., Any])
Next = Callable[[HttpRequest], HttpResponseBase]

API: Final = "/api/"
SAFE: Final = ("GET", "HEAD")
RETRY_SECONDS: Final = 2
KNOWN_AT_MOST: Final = 10_000  # sessions and API keys
AT_ONCE: Final = "Too many requests of yours or of your company are being answered at the moment."
IN_A_MINUTE: Final = "You or your company have sent too many requests in this minute."
LOADS_AGAIN: Final = "This page loads again in {seconds} seconds."
TRY_AGAIN: Final = "Try again in {seconds} seconds."
NOT_SAVED: Final = "Nothing was saved. Reload this page in {seconds} seconds to send it again, or go back."


def heavy(*methods: str) -> Callable[[V], V]:
    """Decorate a view, or a viewset's method, that may take more than 0.2 seconds, or waits for another server.

    Without `methods`, that is true of all of them.
    """

    def decorate(view: V) -> V:
        view.heavy_methods = methods  # type: ignore[attr-defined]
        return view

    return decorate


def _is_heavy(view: Callable[..., Any], request: HttpRequest) -> bool:
    methods = getattr(view, "heavy_methods", None)
    if methods is None:
        methods = getattr(handler_of(view, request), "heavy_methods", None)
    method = "GET" if request.method == "HEAD" else request.method
    return methods is not None and (not methods or method in methods)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who sends requests: a person or an API key with a company, or an address or a person without one."""

    kind: str
    pk: object
    company: int | None = None

    def pages(self) -> Limits:
        share = shares()
        if self.company is None:  # an office may be behind one address; all who sign in share what no company may have
            return {**self._own("page", share.company), ("page", "company", None): share.total}
        limits = self._own("page", share.person)
        return {**limits, **self._company("page", share.company), **self._company("total", share.total)}

    def heavy(self) -> Limits:
        share = shares()
        return {**self._own("heavy", share.heavy), **self._company("heavy", share.heavy)}

    def downloads(self) -> Limits:
        share = shares()
        limits = {**self._own("download", share.person), **self._company("download", share.company)}
        return {**limits, **self._company("total", share.total)}

    def minute(self) -> Limits:
        limits = self._own("minute", settings.PAGES_PER_MINUTE)
        return {**limits, **self._company("minute", settings.COMPANY_PAGES_PER_MINUTE)}

    def _own(self, what: str, limit: int) -> dict[Key, int]:
        return {(what, self.kind, self.pk): limit}

    def _company(self, what: str, limit: int) -> dict[Key, int]:
        return {} if self.company is None else {(what, "company", self.company): limit}


@dataclass(slots=True)
class InFlight:
    """A request that is being answered, and what it counts for."""

    credential: int
    is_heavy: bool = False
    asker: Asker | None = None
    _keys: list[Key] = field(default_factory=list)
    _has_ended: bool = False

    def take(self, asker: Asker) -> bool:
        """Count the request for this asker, and no longer for an address. False if they have too many at a time."""
        self.release()
        _remember(self.credential, asker)
        self.asker = asker
        return self.acquire(asker.pages()) and (not self.is_heavy or self.acquire(asker.heavy()))

    def acquire(self, limits: Limits) -> bool:
        acquired = limiter.acquire(limits)
        if acquired:
            self._keys += limits
        return acquired

    def release(self) -> None:
        limiter.release(self._keys)
        self._keys.clear()

    def end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self.release()
            limiter.end()


_known: dict[int, Asker] = {}  # by what they sent to prove it


def _remember(credential: int, asker: Asker) -> None:
    """Remember who this is. Not an address: requests without a session or a key have no credential of their own."""
    if asker.kind == "address":
        return
    if len(_known) >= KNOWN_AT_MOST:
        _known.clear()
    _known[credential] = asker


def _credential(request: HttpRequest) -> int:
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return hash((request.META.get("HTTP_AUTHORIZATION"), cookie))


class RequestLimitsMiddleware:
    """Counts requests until they are answered, and downloads until they are sent.

    Refuses requests of those who are known to have reached a limit. Comes before the session is read.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        limiter.begin()
        in_flight = InFlight(_credential(request))
        request.in_flight = in_flight  # type: ignore[attr-defined]
        response: HttpResponseBase | None = None
        try:
            response = _refused_at_once(request, in_flight.credential) or self.get_response(request)
        finally:
            if response is None or not response.streaming:
                in_flight.end()
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            _known.pop(in_flight.credential, None)
        return _download(request, response, in_flight) if response.streaming else response


class AskerLimitsMiddleware:
    """Counts the request for whoever sends it, once that is known. An API key is known once the view has read it."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asker = _asker(request)
        if asker is None:
            return self.get_response(request)
        if _counts_by_minute(request) and not limiter.count(asker.minute()):
            return _refused(request, asker, IN_A_MINUTE)
        if not request.in_flight.take(asker):  # type: ignore[attr-defined]
            return _refused(request, asker, AT_ONCE)
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Count a heavy view, in addition."""
        in_flight: InFlight = request.in_flight  # type: ignore[attr-defined]
        in_flight.is_heavy = _is_heavy(view, request)
        if in_flight.is_heavy and in_flight.asker and not in_flight.acquire(in_flight.asker.heavy()):
            return _refused(request, in_flight.asker, AT_ONCE)
        return None


def _asker(request: HttpRequest) -> Asker | None:
    """Who sends the request. None for an API key that was valid at its last request: `CallerThrottle` counts it."""
    if _is_api(request) and "Authorization" in request.headers:
        known = _known.get(_credential(request))
        return None if known and known.kind == "key" else _address(request)
    membership: Membership | None = request.membership  # type: ignore[attr-defined]
    if isinstance(request.user, User):
        return Asker("person", request.user.pk, membership.company_id if membership else None)
    return _address(request)


def _address(request: HttpRequest) -> Asker:
    return Asker("address", truncate_ip(client_address(request)))


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(API)


def _counts_by_minute(request: HttpRequest) -> bool:
    """The API counts its requests itself, across all processes."""
    return not _is_api(request)


def _refused_at_once(request: HttpRequest, credential: int) -> HttpResponseBase | None:
    asker = _known.get(credential)
    if asker is None:
        return None
    if _counts_by_minute(request) and limiter.would_not_count(asker.minute()):
        return _refused(request, asker, IN_A_MINUTE)
    if limiter.would_refuse(asker.pages()) or (limiter.would_refuse(asker.heavy()) and _leads_to_heavy(request)):
        return _refused(request, asker, AT_ONCE)
    return None


def _leads_to_heavy(request: HttpRequest) -> bool:
    try:
        return _is_heavy(resolve(request.path_info).func, request)
    except Resolver404:
        return False


def _download(request: HttpRequest, response: HttpResponseBase, in_flight: InFlight) -> HttpResponseBase:
    """The response, which counts as a download until it is closed."""
    in_flight.release()
    asker = in_flight.asker
    if asker and not in_flight.acquire(asker.downloads()):
        response.close()
        in_flight.end()
        return _refused(request, asker, AT_ONCE)
    close = response.close

    def close_and_end() -> None:
        try:
            close()
        finally:
            in_flight.end()

    response.close = close_and_end  # type: ignore[method-assign]
    return response


def _refused(request: HttpRequest, asker: Asker, why: str) -> HttpResponse:
    if limiter.count({("logged", asker.kind, asker.pk): 1}):
        logger.warning("Requests of %s %s, company %s, are refused. %s", asker.kind, asker.pk, asker.company, why)
    request.is_refused = True  # type: ignore[attr-defined]
    seconds = round(seconds_left()) + 1 if why == IN_A_MINUTE else RETRY_SECONDS
    if _is_api(request):
        detail = f"Too many requests. {TRY_AGAIN.format(seconds=seconds)}"
        return JsonResponse({"detail": detail}, status=429, headers={"Retry-After": str(seconds)})
    is_part, is_safe = "HX-Request" in request.headers, request.method in SAFE
    response = HttpResponse(_page(why, seconds, is_part, is_safe), status=429, headers={"Retry-After": str(seconds)})
    if is_safe and not is_part:
        response.headers["Refresh"] = str(seconds)
    return response


@lru_cache(maxsize=500)
def _page(why: str, seconds: int, is_part: bool, is_safe: bool) -> str:
    """The page, rendered without the request: context processors query the database."""
    if is_part:
        then = TRY_AGAIN if is_safe else f"Nothing was saved. {TRY_AGAIN}"
    else:
        then = LOADS_AGAIN if is_safe else NOT_SAVED
    return render_to_string("429_busy.html", {"sentence": f"{why} {then.format(seconds=seconds)}", "is_safe": is_safe})
