"""The beats of this process's threads: when each of them last made progress.

They are kept in memory alone, so that a beat waits for nothing: neither the database nor the broker can hold it up.
Each statement that ends, well or not, is a beat. So a round that is long but gets on is not taken for one that stands
still, and what asks the database for nothing for long (it waits for an answer, or rests) is bounded or says so.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from postgresql import bounds

# By thread; what is inside something else stands last, and counts.
_watched: dict[threading.Thread, list["Watched"]] = {}


@dataclass(slots=True)
class Watched:
    """Something that a thread does, and that has to make progress."""

    name: str
    thread: threading.Thread
    beat_at: float  # by time.monotonic(); ahead of it while the thread rests


def watch(name: str) -> None:
    """From now on this thread has to beat. A thread that dies without `unwatch` stands still."""
    thread = threading.current_thread()
    _watched.setdefault(thread, []).append(Watched(name, thread, time.monotonic()))
    if _beat_after not in connection.execute_wrappers:  # Django's connections are each thread's own
        connection.execute_wrappers.append(_beat_after)


def unwatch() -> None:
    """This thread has done what it was watched for last."""
    thread = threading.current_thread()
    if watched := _watched.get(thread):
        watched.pop()
    if not watched:
        _watched.pop(thread, None)
    beat()


def beat(*, rest_seconds: float = 0.0) -> None:
    """Say that this thread gets on, and that it now rests for so long. Nothing where nobody watches it."""
    if watched := _watched.get(threading.current_thread()):
        watched[-1].beat_at = time.monotonic() + rest_seconds


def stillest() -> tuple[Watched, float] | None:
    """What has not beaten for longest, and for how many seconds. None where nothing is watched."""
    now = time.monotonic()
    watched = [those[-1] for those in list(_watched.values()) if those]
    if not watched:
        return None
    found = min(watched, key=lambda each: each.beat_at)
    return found, now - found.beat_at


def excuse(seconds: float) -> None:
    """Count none of the time in which the whole process stood (SIGSTOP, a machine that slept) against its threads."""
    for those in list(_watched.values()):
        for watched in those:
            watched.beat_at += seconds


def forget() -> None:
    """Watch nothing. A forked process has one thread, which does none of what its parent's did."""
    _watched.clear()


def _more_than_usual() -> float:
    """How much longer than usual a statement of this thread may take, as one of the housekeeping may."""
    return max(0.0, (bounds.seconds() or 0.0) - settings.WORKER_STATEMENT_SECONDS)


def _beat_after(execute: Callable[..., Any], *statement: Any) -> Any:
    beat(rest_seconds=_more_than_usual())
    try:
        return execute(*statement)
    finally:
        beat()
