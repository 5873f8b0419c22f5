"""How long the web processes take to answer, by the name of the route and the status."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from leadmachine.metrics import access, processes

BUCKETS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Probes, static files, redirects to https, and addresses that lead nowhere.
NO_ROUTE: Final = "none"

REQUEST_SECONDS: Final = Histogram(
    "leadmachine_request_seconds",
    "How long the web server took to answer, from the complete request to the response, by route and status.",
    ["route", "status"],
    buckets=BUCKETS,
    registry=None,
)


class RequestSecondsMiddleware:
    """Measures each request. Routes have names, so no address, id or search is in a label, and their number is limited.

    Does nothing while /metrics is closed.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not access.are_open():
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - began
        route = request.resolver_match.view_name if request.resolver_match else NO_ROUTE
        REQUEST_SECONDS.labels(route, response.status_code).observe(seconds)
        return response


def collect() -> Iterable[Metric]:
    """Return the requests of all web processes of this machine."""
    if folder := processes.folder():
        files: Collector = MultiProcessCollector(None, folder)  # type: ignore[no-untyped-call]
        return files.collect()
    return REQUEST_SECONDS.collect()
