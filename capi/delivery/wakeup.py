"""Waking a worker for a company after the commit, from a thread of its own: no save waits for the broker."""

import atexit
import logging
import os
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connections, transaction
from kombu.connection import Connection
from kombu.pools import producers

from capi.linkedin import failpoints

# --- Telling a worker that a lane has something to send. Only for speed: the sweep finds what no wake-up told of.

logger = logging.getLogger(__name__)

DELIVER = "capi.deliver"  # the task, by its name: tasks stand on delivery
WARNING_SECONDS = 60.0


@dataclass(slots=True)
class Breaker:
    """Remembers that the broker was out of reach, so that the next save need not find out again."""

    closed_at: float = 0.0
    warn_again_at: float = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.closed_at

    def trip(self, error: Exception) -> None:
        now = time.monotonic()
        self.closed_at = now + settings.WAKE_BREAKER_SECONDS
        if now >= self.warn_again_at:
            self.warn_again_at = now + WARNING_SECONDS
            logger.warning(
                "The broker can't be reached (%s); the workers' sweep delivers instead.", type(error).__name__
            )


breaker = Breaker()


def wake(company_id: int, *, after_seconds: float = 0.0) -> bool:
    """Ask any worker to deliver for the company. False if the broker could not be told; nothing is lost then.

    Never raises, and takes at most the settings' WAKE_TIMEOUT_SECONDS per step of the conversation with the broker.
    """
    if breaker.is_open:
        return False
    try:
        with producers[_broker_connection()].acquire(block=True, timeout=settings.WAKE_TIMEOUT_SECONDS) as producer:
            current_app.send_task(
                DELIVER, [company_id], countdown=after_seconds or None, producer=producer, retry=False
            )
    except Exception as error:  # whatever the broker's client raises: a save must not fail for it
        breaker.trip(error)
        return False
    return True


@lru_cache(maxsize=1)
def _broker_connection() -> Connection:
    """A connection of our own to the broker: the workers' must wait long, a save must not."""
    seconds = settings.WAKE_TIMEOUT_SECONDS
    own: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "max_retries": 0,
        # A line that died since the last wake-up says so only now: the same wake-up goes once more, on a new one.
        "retry_on_timeout": True,
        "health_check_interval": 0,  # a PING before each would find out no sooner, and be a second round trip
    }
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **(own if settings.REDIS_URL else {})}
    connection: Connection = current_app.connection_for_write(settings.REDIS_URL or None, transport_options=options)
    return connection


# --- The thread that speaks with the broker, so that no save waits for it, however slow or dead it is.

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
        failpoints.reached("before_wake")
        publisher.ask(self.company_id)
