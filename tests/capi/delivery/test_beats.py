"""Beats show whether a thread is stuck, making progress or at rest."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connection, connections

from capi.delivery import beats
from leadmachine.timers import Repeating


@pytest.fixture(autouse=True)
def _nothing_watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(
        connections["default"], "execute_wrappers", [*connection.execute_wrappers]
    )
    beats.forget()
    yield
    beats.forget()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock that beats read, in seconds; tests move it."""
    now = [1000.0]
    monkeypatch.setattr(beats.time, "monotonic", lambda: now[0])
    return now


def stands() -> tuple[str, float] | None:
    found = beats.stillest()
    return (found[0].name, found[1]) if found else None


def test_nothing_stands_still_where_nothing_is_watched(clock) -> None:
    assert stands() is None


def test_what_does_not_beat_stands_still_from_its_beginning(clock) -> None:
    beats.watch("sweep")

    clock[0] += 30

    assert stands() == ("sweep", 30)


def test_a_beat_begins_the_time_again(clock) -> None:
    beats.watch("sweep")
    clock[0] += 30

    beats.beat()
    clock[0] += 5

    assert stands() == ("sweep", 5)


def test_the_time_of_a_rest_does_not_count(clock) -> None:
    beats.watch("housekeeping")

    beats.beat(rest_seconds=3600)
    clock[0] += 3610

    assert stands() == ("housekeeping", 10)


def test_what_is_done_inside_something_else_counts_until_it_is_done(clock) -> None:
    beats.watch("main loop")
    beats.watch("task")
    clock[0] += 10
    assert stands() == ("task", 10)

    beats.unwatch()

    assert stands() == ("main loop", 0)


def test_of_several_threads_the_one_that_stands_for_longest_is_told(clock) -> None:
    other = threading.Thread(target=beats.watch, args=("sweep",))
    other.start()
    other.join()
    clock[0] += 5

    beats.watch("watch")

    assert stands() == ("sweep", 5)


def test_the_time_in_which_the_whole_process_stood_does_not_count(clock) -> None:
    beats.watch("sweep")
    clock[0] += 700

    beats.excuse(695)

    assert stands() == ("sweep", 5)


def test_each_statement_is_a_beat_also_one_that_fails(clock, db) -> None:
    beats.watch("count of the log")
    clock[0] += 50
    connection.cursor().execute("SELECT 1")
    assert stands() == ("count of the log", 0)

    clock[0] += 50
    with pytest.raises(Exception, match="no_such_function"):
        connection.cursor().execute("SELECT no_such_function()")

    assert stands() == ("count of the log", 0)


class Once(Repeating):
    """Runs `do` in its only round."""

    name = "once"

    def __init__(self, do) -> None:
        super().__init__()
        self.do = do

    def seconds(self) -> float:
        return 3600

    def round(self, number: int) -> None:
        self.do()


def test_a_timer_that_was_asked_to_end_is_not_watched_any_more() -> None:
    done = threading.Event()
    once = Once(done.set)
    once.start()
    assert done.wait(5)

    once.stop()
    once.join(5)

    assert stands() is None


def fail() -> None:
    raise RuntimeError("a round that fails")


def test_a_timer_whose_round_fails_comes_round_again_and_stands_nowhere(caplog) -> None:
    failed = threading.Event()
    once = Once(lambda: (failed.set(), fail()))
    once.start()
    assert failed.wait(5)

    once.stop()
    once.join(5)

    assert stands() is None
    assert "The once failed" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_timer_whose_thread_dies_stands_still(clock) -> None:
    once = Once(lambda: None)
    # Called outside the round, where nothing catches what it raises.
    once.seconds = fail
    once.start()
    once.join(5)

    clock[0] += 50

    assert stands() == ("once", 50)
