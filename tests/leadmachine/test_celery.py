"""What a worker's process does before its first task, and when its loop is stopped before it has begun."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from celery import signals
from django.db import connection, connections

from capi.delivery import beats
from leadmachine import celery, workers
from leadmachine.watchdog import Watchdog


@pytest.fixture
def watchdogs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Watchdog]]:
    """The watchdogs that were started. They don't run: one that did would end this process in a later test."""
    started: list[Watchdog] = []
    monkeypatch.setattr(Watchdog, "start", lambda watchdog: started.append(watchdog))
    yield started
    gc.unfreeze()


def test_a_new_process_is_watched_and_collects_garbage_rarely_and_without_what_stays(
    watchdogs,
) -> None:
    signals.worker_process_init.send(sender=celery.app)

    assert len(watchdogs) == 1
    assert gc.get_freeze_count() > 10_000
    assert gc.isenabled()
    assert gc.get_threshold()[0] == 50_000


class Loop:
    """As much of Celery's consumer as the step uses: its timer."""

    cancelled = 0
    call_soon = print

    @property
    def timer(self) -> "Loop":
        return self

    def call_repeatedly(self, seconds: float, call: Any) -> "Loop":
        return self

    def cancel(self) -> None:
        self.cancelled += 1


def test_a_loop_that_is_stopped_before_each_new_try_ends_its_beats_once_and_no_others(
    monkeypatch,
) -> None:
    monkeypatch.setattr(
        connections["default"], "execute_wrappers", [*connection.execute_wrappers]
    )
    beats.forget()
    beats.watch("sweep")
    loop, step = Loop(), workers.MainLoop(None)

    step.stop(loop)
    step.start(loop)
    step.stop(loop)
    step.stop(loop)

    still = beats.stillest()
    beats.forget()
    assert loop.cancelled == 1
    assert still is not None
    assert still[0].name == "sweep"
