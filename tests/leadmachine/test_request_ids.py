"""Each request has a number, by which an operator finds its lines from what a person reads on a page."""

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as product
from django.db import InterfaceError
from django.test import Client

from leadmachine import request_ids
from leadmachine.log_format import SafeFormatter

UUID = "0b7cbd5e-6a35-4b57-9a4b-3a1f6f0f6d11"
WITHOUT_HYPHENS = UUID.replace("-", "")
PROXY = "10.0.0.9"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the product's own handler writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        SafeFormatter(fmt=product.LOGGING["formatters"]["line"]["format"], style="{")
    )
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def number_of(header: str = "", *, sent_by: str = PROXY, path: str = "/healthz") -> str:
    response = Client().get(path, headers={"X-Request-ID": header}, REMOTE_ADDR=sent_by)
    return response.headers["X-Request-ID"]


@pytest.mark.parametrize("number", [UUID, WITHOUT_HYPHENS])
def test_the_number_of_our_own_proxy_is_kept(settings: Any, number: str) -> None:
    settings.TRUSTED_PROXIES = [PROXY]

    assert number_of(number) == number


def test_the_number_of_a_stranger_is_replaced(settings: Any) -> None:
    settings.TRUSTED_PROXIES = [PROXY]

    number = number_of(UUID, sent_by="10.0.0.8")

    assert number != UUID
    assert request_ids.WELL_FORMED.fullmatch(number)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "ada@example.com",
        "+31771102",
        "lm_Zk0Yx3vJ8q1mB7cT5nR2wU9sE4hL6dG0",
        f"{UUID}\t",
        f"{UUID}{UUID}",
        UUID.upper(),
        "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b",
    ],
)
def test_anything_but_a_number_is_replaced(settings: Any, header: str) -> None:
    settings.TRUSTED_PROXIES = [PROXY]

    number = number_of(header)

    assert number != header
    assert request_ids.WELL_FORMED.fullmatch(number)


def test_each_request_has_another_number() -> None:
    assert number_of() != number_of()


@pytest.mark.django_db
def test_the_line_about_a_refused_request_has_its_number(
    log: io.StringIO, client_as: Any, sales: Any
) -> None:
    response = client_as(sales).get("/leads/0/")

    number = response.headers["X-Request-ID"]
    assert f"Not Found: /leads/0/ [request {number}]\n" in log.getvalue()


def test_a_line_between_requests_has_no_number(log: io.StringIO) -> None:
    number_of()

    logging.getLogger("crm").warning("Between")

    assert log.getvalue().endswith("WARNING crm: Between\n")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, 500), (InterfaceError, 503)]
)
def test_the_page_about_an_error_shows_the_number_in_the_log(
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    status: int,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error("connection failed")

    monkeypatch.setattr("django.contrib.auth.views.LogoutView.post", fail)

    response = Client(raise_request_exception=False).post("/logout/")

    shown = re.search("<code>(.+)</code>", response.content.decode())
    assert response.status_code == status
    assert shown is not None
    assert shown[1] == response.headers["X-Request-ID"]
    assert f"[request {shown[1]}]" in log.getvalue()


@pytest.mark.django_db
def test_a_page_about_a_persons_mistake_shows_none(client_as: Any, sales: Any) -> None:
    response = client_as(sales).get("/leads/0/")

    assert response.status_code == 404
    assert response.headers["X-Request-ID"] not in response.content.decode()
