"""How many requests a web process answers at a time, and how many in a minute, for each company, person or address.

The counts are in memory: a request costs no round trip for them, and a limit holds in each process by itself.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Condition
from typing import Final

from django.conf import settings

WAIT_SECONDS: Final = 1.0  # for another request of the same company or person to end
WINDOW_SECONDS: Final = 60

Key = tuple[str, str, object]  # what is counted, for whom: ("heavy", "company", 7)
Limits = Mapping[Key, int]


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of a process's threads each may have at a time.

    `total` includes downloads, which are counted apart from pages: while someone's connection is slow, the company's
    pages go on. `spare` threads are left idle by requests that wait.
    """

    company: int
    person: int
    heavy: int
    total: int
    spare: int


def shares() -> Shares:
    """The shares of this process: with 8 threads 4, 3, 2, 6 and 2."""
    threads = settings.WEB_THREADS
    half, quarter = (threads + 1) // 2, max(1, threads // 4)
    return Shares(half, max(1, half - 1), quarter, max(half, threads - quarter), quarter)


class Limiter:
    """Counts the requests of a process. All methods may be called by any thread."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._in_flight = Counter[Key]()
        self._busy = 0  # threads that answer a request, or let one wait
        self._waiting = 0
        self._counted = Counter[Key]()
        self._minute = 0

    def begin(self) -> None:
        """Count a thread that begins to answer a request."""
        with self._changed:
            self._busy += 1
            self._tell_waiting()

    def end(self) -> None:
        with self._changed:
            self._busy -= 1
            self._tell_waiting()

    def acquire(self, limits: Limits) -> bool:
        """Count the request for these keys. Waits if one is at its limit. False if that takes too long.

        A request waits only as long as there are idle threads for others.
        """
        until = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while self._is_at(limits):
                left = until - time.monotonic()
                if left <= 0 or not self._may_wait():
                    return False
                self._waiting += 1
                self._changed.wait(left)
                self._waiting -= 1
            self._in_flight.update(limits.keys())
        return True

    def release(self, keys: Iterable[Key]) -> None:
        with self._changed:
            for key in keys:
                self._in_flight[key] -= 1
                if not self._in_flight[key]:
                    del self._in_flight[key]
            self._tell_waiting()

    def would_refuse(self, limits: Limits) -> bool:
        """True if one of the keys is at its limit, and no thread is left to wait for it."""
        with self._changed:
            return self._is_at(limits) and not self._may_wait()

    def count(self, limits: Limits) -> bool:
        """Count a request of this minute for these keys. False if that is more than one of the limits."""
        with self._changed:
            self._turn_minute()
            is_over = self._is_over(limits)
            if not is_over:
                self._counted.update(limits.keys())
        return not is_over

    def would_not_count(self, limits: Limits) -> bool:
        """True if another request in this minute would be more than one of the limits."""
        with self._changed:
            self._turn_minute()
            return self._is_over(limits)

    def reset(self) -> None:
        """Forget everything, as in a new process."""
        with self._changed:
            self._in_flight.clear()
            self._counted.clear()
            self._busy = 0

    def _is_at(self, limits: Limits) -> bool:
        return any(self._in_flight[key] >= limit for key, limit in limits.items())

    def _is_over(self, limits: Limits) -> bool:
        return any(self._counted[key] >= limit for key, limit in limits.items())

    def _turn_minute(self) -> None:
        minute = int(time.time()) // WINDOW_SECONDS
        if minute != self._minute:
            self._minute = minute
            self._counted.clear()

    def _may_wait(self) -> bool:
        return self._busy + shares().spare <= settings.WEB_THREADS

    def _tell_waiting(self) -> None:
        if self._waiting:
            self._changed.notify_all()


limiter: Final = Limiter()
