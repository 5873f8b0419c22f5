"""A probe that is red logs it once, and once more when it is green again, however often it is asked."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import Client

from capi.models import SWEEP, Heartbeat
from leadmachine import probe_log

pytestmark = pytest.mark.django_db

NO_WORKER = "No worker has checked for due events lately: is one running?"


@pytest.fixture(autouse=True)
def _nothing_said_before() -> Iterator[None]:
    probe_log._forget()
    yield
    probe_log._forget()


def ask(path: str, times: int = 3) -> list[int]:
    """The statuses of the answers."""
    return [Client().get(path).status_code for _ in range(times)]


def lines(caplog: Any) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_progress_that_ends_and_goes_on_is_a_line_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    red = ask("/progressz")
    Heartbeat.objects.beat(SWEEP)
    green = ask("/progressz")

    assert (red, green) == ([503] * 3, [200] * 3)
    assert lines(caplog) == [
        ("ERROR", f"/progressz: {NO_WORKER}"),
        ("WARNING", "/progressz: all is well again."),
    ]


def test_a_process_that_is_not_ready_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as away:
        away.setattr(connection, "cursor", refuse)
        red = ask("/readyz")

    assert red == [503] * 3
    assert lines(caplog) == [("ERROR", "/readyz: The database can't be reached.")]


def test_another_problem_is_another_line(caplog: pytest.LogCaptureFixture) -> None:
    for problems in (["One."], ["One."], ["One.", "Two."], [], []):
        probe_log.note("/progressz", problems)

    assert lines(caplog) == [
        ("ERROR", "/progressz: One."),
        ("ERROR", "/progressz: One. Two."),
        ("WARNING", "/progressz: all is well again."),
    ]


def test_what_else_answers_503_is_logged_as_before(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError from psycopg.OperationalError("connection refused")

    monkeypatch.setattr("django.contrib.auth.views.LogoutView.post", refuse)

    answer = Client(raise_request_exception=False).post("/logout/")

    assert answer.status_code == 503
    assert [line for line in lines(caplog) if "/logout/" in line[1]] != []
