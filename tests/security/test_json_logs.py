"""Logs as JSON: one object a line, masked like text, with the keys of the rows and nothing that a person typed."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as product
from django.test import Client

from leadmachine.log_format import JsonFormatter

CANARIES = {
    "address": "ada.kestrel@example.com",
    "encoded address": "ada.kestrel%40example.com",
    "hash": "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b",
    "header": "Bearer AQXdSP-short",
    "API key": "lm_Zk0Yx3vJ8q1mB7cT5nR2wU9sE4hL6dG0aKpFyVxNiQo",
    "password of a service": "redis://:kestrel-password@redis-1:6379/0",
}
ALL = " and ".join(CANARIES.values())


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def objects(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_line_is_an_object(log: io.StringIO) -> None:
    logging.getLogger("crm").warning('Said "%s"', "nothing\nat all")

    (line,) = objects(log)
    assert line.keys() == {"time", "level", "logger", "message"}
    assert line["level"] == "WARNING"
    assert line["logger"] == "crm"
    assert line["message"] == 'Said "nothing at all"'
    assert line["time"][10] == "T"


def test_an_error_has_its_traceback_in_the_same_line(log: io.StringIO) -> None:
    try:
        raise ValueError("bad value")
    except ValueError:
        logging.getLogger("crm").exception("It failed", stack_info=True)

    (line,) = objects(log)
    assert line["message"] == "It failed"
    assert line["traceback"].endswith("ValueError: bad value")
    assert "Stack (most recent call last)" in line["stack"]


def test_a_line_has_the_keys_that_its_call_adds(log: io.StringIO) -> None:
    keys = {"company_id": 7, "attempt_id": 11, "event_ids": [3, 5], "job_id": 13}

    logging.getLogger("capi").warning("Nothing", extra=keys)

    (line,) = objects(log)
    assert keys.items() <= line.items()


@pytest.mark.parametrize("value", ["7", "ada@example.com", True, None, ["3"], {"a": 1}])
def test_a_key_is_a_number(log: io.StringIO, value: object) -> None:
    logging.getLogger("capi").warning("Nothing", extra={"company_id": value})

    (line,) = objects(log)
    assert "company_id" not in line


@pytest.mark.django_db
def test_a_line_of_a_request_has_its_number(
    log: io.StringIO, client_as: Any, sales: Any
) -> None:
    response = client_as(sales).get("/leads/0/")

    assert response.headers["X-Request-ID"] in {
        line["request_id"]
        for line in objects(log)
        if line["message"] == "Not Found: /leads/0/"
    }


def loggers() -> list[str]:
    """All loggers of this process: ours, and those of the libraries."""
    return sorted(
        name
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and logger.propagate
    )


def test_no_logger_writes_a_canary(log: io.StringIO) -> None:
    for name in loggers():
        logger = logging.getLogger(name)
        try:
            raise RuntimeError(f"it was {ALL}!")
        except RuntimeError as error:
            record = logger.makeRecord(
                name, logging.ERROR, __file__, 1, "With %s", (ALL,),
                (type(error), error, error.__traceback__),
                extra={"company_id": ALL, "event_ids": [ALL], "token": ALL},
            )  # fmt: skip
        logger.callHandlers(record)

    written = log.getvalue()
    assert {"crm.jobs.runner", "django.request", "urllib3.connectionpool"} <= {
        line["logger"] for line in objects(log)
    }
    assert "kestrel" not in written
    assert [what for what, canary in CANARIES.items() if canary in written] == []


@pytest.mark.django_db
def test_a_request_writes_none_of_what_it_carries(
    log: io.StringIO, client_as: Any, sales: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ValueError(ALL)

    monkeypatch.setattr("django.contrib.auth.views.LogoutView.post", fail)
    client: Client = client_as(sales)
    client.raise_request_exception = False
    headers = {"X-Request-ID": CANARIES["API key"], "Authorization": CANARIES["header"]}

    client.get(f"/leads/0/{CANARIES['address']}", headers=headers)
    client.get("/leads/", {"q": CANARIES["address"]}, headers=headers)
    client.post("/logout/", {"token": CANARIES["API key"]}, headers=headers)

    assert "Internal Server Error: /logout/" in [
        line["message"] for line in objects(log)
    ]
    assert [what for what, canary in CANARIES.items() if canary in log.getvalue()] == []
    assert client.cookies["sessionid"].value not in log.getvalue()


@pytest.mark.parametrize(
    ("format_", "formatter"), [("", "line"), ("text", "line"), ("json", "json")]
)
def test_the_setting_chooses_the_format(format_: str, formatter: str) -> None:
    program = (
        "from leadmachine import settings;"
        "print(settings.LOGGING['handlers']['stderr']['formatter'])"
    )
    environment = {**os.environ, "LEADMACHINE_LOG_FORMAT": format_}

    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=product.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.strip() == formatter


def test_the_product_writes_json_with_it() -> None:
    assert (
        product.LOGGING["formatters"]["json"]["()"]
        == "leadmachine.log_format.JsonFormatter"
    )
