"""Which request a web process answers next, so that no one makes the others wait.

Waitress answers requests in the order in which they arrive, so 64 slow ones of one session delay everybody behind them.
Here the next request is one of the company with the fewest in progress, and within it of the session with the fewest.
docs/decisions/requests-take-turns.md has the alternatives.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Protocol

from crm.accounts.callers import Caller

logger = logging.getLogger(__name__)

OTHERS_SECONDS: Final = 10
STOP_SECONDS: Final = 5.0  # a stopping process has waited for its responses before


class Connection(Protocol):
    """A connection of waitress's, with a request that has arrived."""

    def caller(self) -> Caller: ...
    def service(self) -> None: ...
    def cancel(self) -> None: ...


class Share:
    """How many requests of each company, or of each session, are in progress, and how many may be.

    They may be more for one that has been alone for `OTHERS_SECONDS`.
    """

    def __init__(self, *, alone: int, among_others: int) -> None:
        self._alone, self._among_others = max(1, alone), max(1, among_others)
        self._in_progress = Counter[Hashable]()
        self._latest: Hashable = None
        self._others_until = 0.0

    def ask(self, who: Hashable) -> None:
        if self._latest not in (None, who):
            self._others_until = time.monotonic() + OTHERS_SECONDS
        self._latest = who

    def in_progress(self, who: Hashable) -> int:
        return self._in_progress[who]

    def is_used_up(self, who: Hashable) -> bool:
        at_most = (
            self._among_others if time.monotonic() < self._others_until else self._alone
        )
        return self._in_progress[who] >= at_most

    def take(self, who: Hashable) -> None:
        self._in_progress[who] += 1

    def give_back(self, who: Hashable) -> None:
        self._in_progress[who] -= 1
        if not self._in_progress[who]:
            del self._in_progress[who]


def share_of_company(threads: int) -> int:
    """Return how many requests of a company that is alone are in progress at most, with so many threads."""
    return threads * 3 // 4


@dataclass(eq=False, slots=True)
class _Turn:
    connection: Connection
    caller: Caller
    is_counted: bool = False


class FairDispatcher:
    """Threads that answer requests, instead of waitress's `ThreadedTaskDispatcher`.

    A company has at most three quarters of them at a time, a session half; while others ask as well, half and a
    quarter. Any more requests wait without a thread. None is refused.
    """

    def __init__(self, threads: int) -> None:
        self._companies = Share(
            alone=share_of_company(threads), among_others=threads // 2
        )
        self._sessions = Share(alone=threads // 2, among_others=threads // 4)
        self._waiting: list[_Turn] = []
        self._in_progress: dict[Connection, _Turn] = {}
        self._is_stopping = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._answer, name=f"web-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def add_task(self, connection: Connection) -> None:
        """Queue a request. Called by waitress."""
        turn = _Turn(connection, connection.caller())
        with self._changed:
            if turn.caller.session is not None:  # not for a probe, for example
                self._companies.ask(turn.caller.company)
                self._sessions.ask(turn.caller.session)
            self._waiting.append(turn)
            self._changed.notify()

    def leave_share(self, connection: Connection) -> None:
        """Count this request no longer: it is a download, which lasts as long as its reader likes."""
        with self._changed:
            self._give_back(self._in_progress[connection])
            self._changed.notify()

    def shutdown(self) -> None:
        """End the threads, and the requests that are still waiting."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        with self._changed:
            for turn in self._waiting:
                turn.connection.cancel()
            self._waiting.clear()

    def _answer(self) -> None:
        while (turn := self._next()) is not None:
            try:
                turn.connection.service()
            except BaseException:  # the thread has to go on
                logger.exception("A request failed outside Django")
            finally:
                self._end(turn)

    def _next(self) -> _Turn | None:
        """Wait for a request that may be answered now. None once the process stops."""
        with self._changed:
            while not self._is_stopping:
                turn = self._first()
                if turn is not None:
                    self._take(turn)
                    # Shares may have grown, so that another thread has something to do
                    # as well.
                    self._changed.notify()
                    return turn
                self._changed.wait()
            return None

    def _first(self) -> _Turn | None:
        """The waiting request whose company, and then session, has the fewest in progress; then the oldest."""
        allowed = (turn for turn in self._waiting if not self._is_used_up(turn.caller))
        return min(
            allowed, key=lambda turn: self._in_progress_of(turn.caller), default=None
        )

    def _is_used_up(self, caller: Caller) -> bool:
        if self._companies.is_used_up(caller.company):
            return True
        return caller.session is not None and self._sessions.is_used_up(caller.session)

    def _in_progress_of(self, caller: Caller) -> tuple[int, int]:
        return self._companies.in_progress(caller.company), self._sessions.in_progress(
            caller.session
        )

    def _take(self, turn: _Turn) -> None:
        self._waiting.remove(turn)
        self._in_progress[turn.connection] = turn
        turn.is_counted = True
        self._companies.take(turn.caller.company)
        self._sessions.take(turn.caller.session)

    def _give_back(self, turn: _Turn) -> None:
        if turn.is_counted:
            turn.is_counted = False
            self._companies.give_back(turn.caller.company)
            self._sessions.give_back(turn.caller.session)

    def _end(self, turn: _Turn) -> None:
        with self._changed:
            self._give_back(turn)
            # Its next request may have its turn already.
            if self._in_progress.get(turn.connection) is turn:
                del self._in_progress[turn.connection]
            self._changed.notify()
