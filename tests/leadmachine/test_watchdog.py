"""The watchdog: it tells a thread that is stuck from one that makes progress, and says where it is stuck."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capi.delivery import beats
from leadmachine import watchdog
from leadmachine.watchdog import Watchdog, alive_file

SECRET = "AQV-a-token-that-a-stack-must-not-hold"


@pytest.fixture(autouse=True)
def _nothing_watched(settings, tmp_path) -> Iterator[None]:
    settings.STANDSTILL_SECONDS = 90
    settings.ALIVE_DIR = tmp_path / "alive"
    beats.forget()
    yield
    beats.forget()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    # One module, so the watchdog's as well.
    monkeypatch.setattr(beats.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """A watched thread that waits for something, with a token at hand."""
    release, waits = threading.Event(), threading.Event()

    def wait_for_an_answer(token: str) -> None:
        beats.watch("sweep")
        waits.set()
        release.wait(30)

    thread = threading.Thread(target=wait_for_an_answer, args=(SECRET,), daemon=True)
    thread.start()
    waits.wait(5)
    yield release
    release.set()
    thread.join(5)


def seconds_pass(watching: Watchdog, clock: list[float], seconds: int) -> bool:
    """Let the watchdog check once a second for so many seconds. False if it found a stuck thread."""
    for _ in range(seconds):
        clock[0] += 1
        watching.check()
        if watching.is_triggered:
            return False
    return True


def test_a_thread_that_stands_still_is_found_and_told_with_its_stack_and_without_its_values(
    clock, stuck, caplog
):
    watching = Watchdog()
    assert seconds_pass(watching, clock, 90)

    assert not seconds_pass(watching, clock, 1)

    [record] = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.getMessage().startswith(
        "The sweep has been stuck for 91 seconds; this process exits"
    )
    assert "test_watchdog.py" in record.getMessage()
    assert "wait_for_an_answer" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert SECRET not in record.getMessage()


def test_a_thread_that_is_dead_is_found_too(clock, caplog) -> None:
    dead = threading.Thread(target=beats.watch, args=("watch",))
    dead.start()
    dead.join()

    assert not seconds_pass(Watchdog(), clock, 100)

    assert "the thread is dead" in caplog.text


def test_one_that_gets_on_slowly_is_left_alone(clock) -> None:
    watching = Watchdog()
    beats.watch("count of the log")

    for _ in range(5):
        assert seconds_pass(watching, clock, 80)
        beats.beat()


def test_a_process_that_was_frozen_for_an_hour_goes_on(clock, stuck) -> None:
    watching = Watchdog()
    assert seconds_pass(watching, clock, 60)

    clock[0] += 3600

    assert seconds_pass(watching, clock, 30)
    # The time stuck before the freeze still counts.
    assert not seconds_pass(watching, clock, 10)


def test_the_file_of_a_process_is_touched_while_all_get_on_and_no_longer(
    clock, stuck
) -> None:
    alive = alive_file()
    watching = Watchdog(alive=alive)
    assert seconds_pass(watching, clock, 1)
    os.utime(alive, (0, 0))
    assert seconds_pass(watching, clock, 1)
    assert time.time() - alive.stat().st_mtime < 60

    os.utime(alive, (0, 0))
    clock[0] += 1
    seconds_pass(watching, clock, 100)
    os.utime(alive, (0, 0))
    watching.check()

    assert alive.stat().st_mtime == 0


def test_the_file_of_a_worker_that_exits_is_not_written_again(
    clock: list[float],
) -> None:
    alive = alive_file()
    watching = Watchdog(alive=alive)
    seconds_pass(watching, clock, 1)
    assert alive.exists()

    watching.remove_alive()
    seconds_pass(watching, clock, 1)

    assert not alive.exists()


def test_each_process_has_a_file_of_its_own_and_those_of_the_dead_are_taken_away(
    settings,
) -> None:
    settings.ALIVE_DIR.mkdir()
    living, dead = (
        settings.ALIVE_DIR / f"worker-{os.getppid()}",
        settings.ALIVE_DIR / "worker-999999999",
    )
    living.touch()
    dead.touch()

    mine = alive_file()

    assert mine.name == f"worker-{os.getpid()}"
    assert [*settings.ALIVE_DIR.iterdir()] == [living]


def test_where_the_file_can_not_be_written_it_says_so_once_and_watches_on(
    settings, tmp_path, clock, stuck, caplog
):
    settings.ALIVE_DIR = tmp_path / "a file"
    Path(settings.ALIVE_DIR).touch()
    watching = Watchdog(alive=alive_file())

    assert seconds_pass(watching, clock, 90)
    assert not seconds_pass(watching, clock, 1)

    assert caplog.text.count("health checks will not see this worker") == 1
    assert caplog.text.count("has been stuck") == 1


def test_a_log_that_takes_nothing_does_not_keep_the_process_from_its_end(
    clock, stuck, monkeypatch
) -> None:
    full = threading.Event()
    monkeypatch.setattr(watchdog, "LOGGING_SECONDS", 0.01)
    monkeypatch.setattr(watchdog.logger, "critical", lambda *words: full.wait(30))

    found = not seconds_pass(Watchdog(), clock, 100)

    full.set()
    assert found


def test_a_process_that_can_start_no_thread_to_say_it_is_ended_too(
    clock, stuck, monkeypatch
) -> None:
    watching = Watchdog()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert not seconds_pass(watching, clock, 100)
    assert watching.is_triggered
