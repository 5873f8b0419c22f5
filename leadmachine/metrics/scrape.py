"""The response to a scrape."""

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from leadmachine.metrics import access, figures, requests


class Everything:
    """All metrics, read as they are asked for."""

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering it reads nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        return [*figures.collect(), *requests.collect()]


def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics in the format that the request accepts, or why they are refused."""
    refused = access.refusal(request)
    if refused:
        status, sentence = refused
        return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain")
    registry = CollectorRegistry()
    registry.register(Everything())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)
