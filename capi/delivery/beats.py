"""Heartbeats of this process's threads: when each of them last made progress.

They are kept in memory only, so that neither the database nor the broker can delay a beat. Each SQL statement that
ends, successfully or not, is a beat, so a long round that makes progress doesn't look as if it hangs. Work that runs no
statement for a while (it waits for an answer, or rests) has a time limit, or announces its rest.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from postgresql import bounds

# By thread. If work is nested, the innermost is last, and only that one counts.
_watched: dict[threading.Thread, list["Watched"]] = {}


@dataclass(slots=True)
class Watched:
    """Work of a thread that has to make progress."""

    name: str
    thread: threading.Thread
    beat_at: float  # by time.monotonic(); in the future while the thread rests


def watch(name: str) -> None:
    """Expect beats of this thread from now on. A thread that dies without `unwatch` counts as hanging."""
    thread = threading.current_thread()
    _watched.setdefault(thread, []).append(Watched(name, thread, time.monotonic()))
    # Each thread has its own connection.
    if _beat_after not in connection.execute_wrappers:
        connection.execute_wrappers.append(_beat_after)


def unwatch() -> None:
    """End the innermost watched work of this thread."""
    thread = threading.current_thread()
    if watched := _watched.get(thread):
        watched.pop()
    if not watched:
        _watched.pop(thread, None)
    beat()


def beat(*, rest_seconds: float = 0.0) -> None:
    """Record that this thread makes progress, and now rests for `rest_seconds`. Does nothing if it is not watched."""
    if watched := _watched.get(threading.current_thread()):
        watched[-1].beat_at = time.monotonic() + rest_seconds


def stillest() -> tuple[Watched, float] | None:
    """The work whose last beat is the oldest, and its age in seconds. None if nothing is watched."""
    now = time.monotonic()
    watched = [those[-1] for those in list(_watched.values()) if those]
    if not watched:
        return None
    oldest = min(watched, key=lambda each: each.beat_at)
    return oldest, now - oldest.beat_at


def excuse(seconds: float) -> None:
    """Do not count the seconds in which the whole process was suspended (SIGSTOP, a machine that slept)."""
    for those in list(_watched.values()):
        for watched in those:
            watched.beat_at += seconds


def forget() -> None:
    """Watch nothing. A forked process has one thread, which does none of its parent's work."""
    _watched.clear()


def _more_than_usual() -> float:
    """How many seconds longer than usual a statement of this thread may take: in the housekeeping, for example."""
    return max(0.0, (bounds.seconds() or 0.0) - settings.WORKER_STATEMENT_SECONDS)


def _beat_after(execute: Callable[..., Any], *statement: Any) -> Any:
    beat(rest_seconds=_more_than_usual())
    try:
        return execute(*statement)
    finally:
        beat()
