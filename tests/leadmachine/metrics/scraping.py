"""Scrapes, as Prometheus makes and reads them."""

from django.test import Client
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "V3ry-random-and-long-enough-token-for-tests"
ADDRESS = "10.0.0.5:8000"  # none of ALLOWED_HOSTS


def scrape(token: str = TOKEN, **headers: str) -> str:
    """The text of a scrape that is allowed."""
    answer = Client().get(
        "/metrics",
        HTTP_HOST=ADDRESS,
        headers={"Authorization": f"Bearer {token}", **headers},
    )
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def families(text: str) -> dict[str, Metric]:
    """The metrics of a scrape by name."""
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The values of all samples of this name, by their labels in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families(text).values()
        for sample in family.samples
        if sample.name == name
    }


def names(text: str) -> set[str]:
    """The names of all samples."""
    return {
        sample.name for family in families(text).values() for sample in family.samples
    }
