"""The thread that speaks with the broker, so that no save waits for it, however slow or dead it is."""

import atexit
import os
import threading
from dataclasses import dataclass

from django.conf import settings
from django.db import connections, transaction

from capi import killpoints
from capi.wakeup import wake

FOLDED_SECONDS = 0.2  # what comes within this time is one wake-up: each costs us 0.6 ms, and a worker more


class Publisher:
    """Sends wake-ups in the order in which companies asked first; asking again before its turn costs nothing.

    The first goes at once; while saves follow each other, each company has one in FOLDED_SECONDS. A process that is
    killed takes its unsent wake-ups with it: the sweep finds what they would have told of.
    """

    def __init__(self) -> None:
        self._start_afresh()
        os.register_at_fork(after_in_child=self._start_afresh)
        atexit.register(self._say_good_bye)

    def _start_afresh(self) -> None:
        self._asked: dict[int, None] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_sending = False
        self._hurried = threading.Event()

    def ask(self, company_id: int) -> None:
        """Have the company woken soon. Returns at once."""
        with self._changed:
            self._asked[company_id] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all that was asked for is sent, or found unsendable. False if that took longer."""
        with self._changed:
            self._hurried.set()
            done = self._changed.wait_for(lambda: not self._asked and not self._is_sending, seconds)
            self._hurried.clear()
            return done

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked)
                companies, self._asked = list(self._asked), {}
                self._is_sending = True
            for company_id in companies:
                wake(company_id)
            with self._changed:
                self._is_sending = False
                self._changed.notify_all()
            self._hurried.wait(FOLDED_SECONDS)

    def _say_good_bye(self) -> None:
        # A management command may end a moment after its commit.
        self.flush(4 * settings.WAKE_TIMEOUT_SECONDS)


publisher = Publisher()


def wake_on_commit(company_id: int, *, using: str = "default") -> None:
    """Wake the company's lane once the transaction has been committed, once however often it is asked for."""
    ask = _Ask(company_id)
    connection = connections[using]
    if not any(entry[1] == ask for entry in connection.run_on_commit):
        transaction.on_commit(ask, using=using, robust=True)


@dataclass(frozen=True, slots=True)
class _Ask:
    company_id: int

    def __call__(self) -> None:
        killpoints.reached("before_wake")
        publisher.ask(self.company_id)
