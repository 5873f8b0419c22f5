"""The worker inside a web process: however the worker ends, the process ends with it."""

import logging
import os
import signal
from typing import Any

import pytest

from leadmachine import embedded
from leadmachine.celery import app


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals that would have been sent, each after the id of its process."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(embedded.os, "kill", lambda *signal_: sent.append(signal_))
    return sent


class Worker:
    hostname = "celery@web-1"

    def start(self) -> None:
        raise OSError("no more files")


def no_worker(**options: Any) -> Worker:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    "make", [no_worker, lambda **options: Worker()], ids=["not made", "not started"]
)
def test_one_that_fails_says_why_and_takes_the_web_process_with_it(
    make, sent, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(app, "WorkController", make)

    with caplog.at_level(logging.ERROR):
        embedded._run_worker()

    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert (
        "The worker inside this web process failed; the process is stopping."
        in caplog.text
    )
