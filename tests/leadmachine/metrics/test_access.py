"""/metrics is closed unless its token or its networks are set, and then open to those alone."""

from typing import Any

import pytest
from django.test import Client

from leadmachine import exposure_checks, production_checks
from leadmachine.metrics import access
from tests.leadmachine.metrics.scraping import ADDRESS, TOKEN, scrape

pytestmark = pytest.mark.django_db

RIGHT = {"Authorization": f"Bearer {TOKEN}"}


def ask(
    *, address: str = "10.1.2.3", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    answer = Client().get(
        "/metrics", HTTP_HOST=ADDRESS, REMOTE_ADDR=address, headers=headers
    )
    return answer.status_code, answer.content.decode().strip()


def test_it_is_closed_by_default(settings: Any) -> None:
    assert (settings.METRICS_TOKEN, settings.METRICS_NETWORKS) == ("", [])

    assert ask(address="127.0.0.1") == (404, access.CLOSED)
    assert ask(headers={"Authorization": "Bearer "}) == (404, access.CLOSED)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN[:-1]}é"},
    ],
)
def test_any_token_but_its_own_is_refused(
    settings: Any, headers: dict[str, str]
) -> None:
    settings.METRICS_TOKEN = TOKEN

    assert ask(headers=headers) == (401, access.NOT_AUTHORISED)


def test_its_token_opens_it_over_plain_http_and_by_address(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["crm.example.com"]

    assert "leadmachine_info" in scrape()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("10.2.0.1", 403),
        ("203.0.113.7", 403),
        ("", 403),
    ],
)
def test_its_networks_open_it(settings: Any, address: str, expected: int) -> None:
    settings.METRICS_NETWORKS = ["10.1.0.0/16", "fd00::/8"]

    assert ask(address=address)[0] == expected


def test_if_both_are_set_both_have_to_match(settings: Any) -> None:
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS = TOKEN, ["10.1.0.0/16"]

    assert ask(headers=RIGHT)[0] == 200
    assert ask()[0] == 401
    assert ask(address="203.0.113.7", headers=RIGHT)[0] == 403


def test_a_proxy_lets_no_one_in_who_is_not_in_the_networks(settings: Any) -> None:
    settings.METRICS_NETWORKS = ["10.1.0.0/16"]
    stranger, friend = ({"X-Forwarded-For": who} for who in ("203.0.113.7", "10.1.9.9"))

    # TRUSTED_PROXIES doesn't name the proxy.
    mapped = "::ffff:10.1.2.3"
    assert ask(address=mapped, headers=stranger) == (403, access.ELSEWHERE)
    assert ask(headers=stranger) == (403, access.ELSEWHERE)
    assert ask(headers=friend) == (403, access.ELSEWHERE)

    settings.TRUSTED_PROXIES = ["10.1.2.3"]
    assert ask(headers=stranger) == (403, access.ELSEWHERE)
    assert ask(headers=friend)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_is_only_read(settings: Any, method: str) -> None:
    settings.METRICS_TOKEN = TOKEN

    answer = Client().generic(method, "/metrics", HTTP_HOST=ADDRESS, headers=RIGHT)

    assert answer.status_code == 405


# The start


def found(check: Any) -> list[str]:
    return [message.id for message in check()]


@pytest.mark.parametrize("token", ["short", "a" * 60, TOKEN[:31]])
def test_a_token_that_could_be_guessed_stops_the_start(
    settings: Any, token: str
) -> None:
    settings.DEBUG, settings.METRICS_TOKEN = False, token

    assert found(exposure_checks.metrics_are_private) == ["leadmachine.E034"]


def test_networks_of_strangers_stop_the_start_unless_there_is_a_token(
    settings: Any,
) -> None:
    settings.DEBUG, settings.METRICS_NETWORKS = False, ["10.0.0.0/8", "0.0.0.0/0"]

    assert found(exposure_checks.metrics_are_private) == ["leadmachine.E035"]

    settings.METRICS_TOKEN = TOKEN
    assert found(exposure_checks.metrics_are_private) == []


def test_what_is_no_network_stops_the_start(settings: Any) -> None:
    settings.METRICS_NETWORKS = ["10.0.0.0/8", "prometheus.internal"]

    assert found(production_checks.metrics_networks) == ["leadmachine.E033"]


def test_an_own_network_and_a_random_token_are_fine(settings: Any) -> None:
    settings.DEBUG = False
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS = TOKEN, ["10.0.0.5", "fd00::/8"]

    assert found(exposure_checks.metrics_are_private) == []
    assert found(production_checks.metrics_networks) == []
