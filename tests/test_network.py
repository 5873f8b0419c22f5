"""No test changes the network of this machine while another drives a browser."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Event

import pytest

from tests import network

SOON = 5  # seconds
NOT_YET = 0.3  # seconds; anyone who could go on would have done so by then


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch) -> None:
    """Locks of this test's own, which hold up no other test of this run."""
    monkeypatch.setattr(network, "LOCKS", tmp_path)


@pytest.fixture
def enter() -> Iterator[Callable[..., tuple[Event, Event]]]:
    """Enters a context in a thread of its own. Returns the event set once it is in, and the one that lets it leave."""
    left: list[Event] = []
    with ThreadPoolExecutor() as pool:

        def _enter(
            context: Callable[[], AbstractContextManager[None]],
        ) -> tuple[Event, Event]:
            inside, leave = Event(), Event()
            left.append(leave)

            def run() -> None:
                with context():
                    inside.set()
                    leave.wait()

            pool.submit(run)
            return inside, leave

        yield _enter
        for leave in left:
            leave.set()


def test_browsers_work_side_by_side(enter) -> None:
    assert all(enter(network.staying_as_it_is)[0].wait(SOON) for _ in range(3))


def test_who_changes_the_network_waits_for_the_browsers_and_comes_before_later_ones(
    enter,
) -> None:
    browser, closed = enter(network.staying_as_it_is)
    assert browser.wait(SOON)

    changing, changed = enter(network.changing)
    assert not changing.wait(NOT_YET)
    later, _ = enter(network.staying_as_it_is)
    assert not later.wait(NOT_YET)

    closed.set()
    assert changing.wait(SOON)
    assert not later.wait(NOT_YET)
    changed.set()
    assert later.wait(SOON)
