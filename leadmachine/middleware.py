"""Middleware for every response: headers, probes, and allowed methods."""

import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    JsonResponse,
)
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import is_valid_path

from crm.accounts.callers import PROGRAM_PATHS
from leadmachine import probe_log, progress
from leadmachine.metrics.scrape import metrics

logger = logging.getLogger(__name__)

PERMISSIONS_POLICY: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
    )
)
PAGE_METHODS: Final = ("GET", "HEAD", "POST")
PROBE_METHODS: Final = ("GET", "HEAD")
API: Final = "/api/"

Next = Callable[[HttpRequest], HttpResponse]


class ClosedByDefaultMiddleware:
    """Forbids browsers and proxies to cache a response, unless it sets its own header as static files do.

    So "Back" after signing out shows nothing, and no shared cache shows one user another's page. It also adds a
    Content-Length to responses that did not pass through CommonMiddleware: without one, the connection is closed.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store, private")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response


class GZipPagesMiddleware(GZipMiddleware):
    """Compresses everything but files: only an open file can be sent by the web server without a thread."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if isinstance(response, FileResponse):
            return response
        return super().process_response(request, response)


class ProbesMiddleware:
    """Answers the probes and /metrics before anything checks the host or needs a session or the database.

    Probes use the machine's address, which is not in ALLOWED_HOSTS.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        if request.method in PROBE_METHODS:
            return probe(request)
        return HttpResponseNotAllowed(PROBE_METHODS)


class PageMethodsMiddleware:
    """Allows only GET, HEAD and POST for pages. API views define their own methods."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in PAGE_METHODS and not request.path_info.startswith(API):
            return HttpResponseNotAllowed(PAGE_METHODS)
        return self.get_response(request)


def page_above(path: str) -> str:
    """The nearest valid path above this one. A form is submitted to a path below its page."""
    while path != "/":
        path = path.rstrip("/").rpartition("/")[0] + "/"
        if is_valid_path(path):
            return path
    return path


class NotAllowedPageMiddleware:
    """Turns an empty 405 into a helpful response.

    A GET of a URL that only accepts a form, for example after Enter in the address bar of its error page, redirects to
    the page of the form. Other methods get a page, and programs get JSON. It is the innermost middleware, so that all
    others treat this as the view's response.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            if request.path_info.startswith(PROGRAM_PATHS):
                detail = f'Method "{request.method}" not allowed.'
                return JsonResponse(
                    {"detail": detail}, status=405, headers={"Allow": response["Allow"]}
                )
            if request.method in ("GET", "HEAD"):
                return redirect(page_above(request.path_info))
            response.content = render_to_string("405.html", request=request)
        return response


# The probes, for container runtimes, load balancers and operators. They always respond in JSON.


def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200 as long as this process responds. Checks nothing else: a restart can't fix other services."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if this process can serve requests, otherwise 503 with a sentence for each problem."""
    missing = [*_database_or_migrations(), *_static_files()]
    probe_log.note(request.path_info, missing)
    if missing:
        return JsonResponse({"status": "not ready", "missing": missing}, status=503)
    return JsonResponse({"status": "ready"})


def progressz(request: HttpRequest) -> HttpResponse:
    """Return 200 while conversions get to LinkedIn, or none is due; otherwise 503 with a sentence for each problem."""
    found = progress.problems()
    probe_log.note(request.path_info, found)
    if found:
        return JsonResponse({"status": "held up", "problems": found}, status=503)
    return JsonResponse({"status": "ok"})


PROBES: Final[dict[str, Callable[[HttpRequest], HttpResponse]]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/progressz": progressz,
    "/metrics": metrics,
}


def _database_or_migrations() -> Iterator[str]:
    try:
        left = len(
            _migrations() - MigrationRecorder(connection).applied_migrations().keys()
        )
        is_read_only = _is_read_only()
    except (OperationalError, InterfaceError):
        yield "The database can't be reached."
    except Exception:  # whatever happens, a probe gets JSON
        logger.exception("The applied migrations can't be read.")
        yield "The applied migrations can't be read: see the log."
    else:
        if left:
            yield f"{left} {'migrations are' if left > 1 else 'migration is'} not applied: run manage.py migrate."
        if is_read_only:
            yield "The database is read-only, like a standby that is not promoted yet."


def _is_read_only() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        return bool(cursor.fetchone() == ("on",))


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations in the code. Cached, because Django would load their modules again for each probe."""
    return frozenset(MigrationLoader(None).graph.nodes)


def _static_files() -> Iterator[str]:
    # The manifest is read once, when the process starts.
    storage: object = staticfiles_storage
    if isinstance(storage, ManifestFilesMixin) and not storage.hashed_files:
        yield "Static files are not collected: run manage.py collectstatic, then restart this process."
