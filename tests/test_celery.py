"""What a worker's process does before its first task."""

import gc
from collections.abc import Iterator

import pytest
from celery import signals

from leadmachine import celery


@pytest.fixture
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_a_new_process_collects_garbage_seldom_and_without_what_stays(as_before) -> None:
    signals.worker_process_init.send(sender=celery.app)

    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] == 50_000
