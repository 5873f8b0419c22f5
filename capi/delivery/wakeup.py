"""Wakes a worker for a company after the commit, in a separate thread, so that no save waits for the broker.

Wake-ups are for speed only: the sweep finds every lane whose wake-up was lost.
"""

import atexit
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connections, transaction
from kombu.connection import Connection
from kombu.pools import producers

from capi.linkedin import failpoints

logger = logging.getLogger(__name__)

# The task's name: capi.tasks imports delivery, not the other way round.
DELIVER = "capi.deliver"


@dataclass(slots=True)
class Breaker:
    """Remembers that the broker was unreachable, so that the next save need not find out again."""

    closed_at: float = 0.0  # by time.monotonic()
    warn_again_at: float = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.closed_at

    def trip(self, error: Exception) -> None:
        now = time.monotonic()
        self.closed_at = now + settings.WAKE_BREAKER_SECONDS
        if now >= self.warn_again_at:
            self.warn_again_at = now + 60.0
            logger.warning(
                "The broker can't be reached (%s); the workers' sweep delivers instead.",
                type(error).__name__,
            )


breaker = Breaker()


def wake(company_id: int, *, after_seconds: float = 0.0) -> bool:
    """Wake a worker to deliver for the company. Returns False if the broker is unreachable; nothing is lost then.

    Never raises, and takes at most WAKE_TIMEOUT_SECONDS for each step of the exchange with the broker.
    """
    if breaker.is_open:
        return False
    try:
        with producers[_broker_connection()].acquire(
            block=True, timeout=settings.WAKE_TIMEOUT_SECONDS
        ) as producer:
            current_app.send_task(
                DELIVER,
                [company_id],
                countdown=after_seconds or None,
                producer=producer,
                retry=False,
            )
    # Whatever the broker's client raises, a save must not fail.
    except Exception as error:
        breaker.trip(error)
        return False
    return True


@lru_cache(maxsize=1)
def _broker_connection() -> Connection:
    """A separate connection to the broker: those of the workers have long timeouts, but a save must not wait."""
    seconds = settings.WAKE_TIMEOUT_SECONDS
    own: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "max_retries": 0,
        # A connection that died since the last wake-up fails only now: the same wake-up is sent again on a new one.
        "retry_on_timeout": True,
        # A PING before each would notice no sooner, and is a second round trip.
        "health_check_interval": 0,
    }
    options = {
        **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        **(own if settings.REDIS_URL else {}),
    }
    connection: Connection = current_app.connection_for_write(
        settings.REDIS_URL or None, transport_options=options
    )
    return connection


# wake-ups within this time are sent as one: each costs us 0.6 ms, and a worker more.
FOLDED_SECONDS = 0.2


class Publisher:
    """The thread that sends wake-ups, one for each company, in the order in which they were first requested.

    The first is sent at once. During a run of saves, each company gets one per FOLDED_SECONDS. A process that is killed
    loses its unsent wake-ups, but the sweep finds those lanes.
    """

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self._flush_at_exit)

    def _reset(self) -> None:
        self._requested: dict[tuple[int, float], None] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_sending = False
        self._is_flushing = threading.Event()

    def request(self, company_id: int, *, after_seconds: float = 0.0) -> None:
        """Request a wake-up of the company's lane, soon or `after_seconds`. Returns at once."""
        with self._changed:
            self._requested[company_id, after_seconds] = None
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="wake-ups", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until every requested wake-up was sent or has failed. Returns False if `seconds` pass before that."""
        with self._changed:
            self._is_flushing.set()
            done = self._changed.wait_for(
                lambda: not self._requested and not self._is_sending, seconds
            )
            self._is_flushing.clear()
            return done

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._requested)
                requested, self._requested = list(self._requested), {}
                self._is_sending = True
            for company_id, after_seconds in requested:
                wake(company_id, after_seconds=after_seconds)
            with self._changed:
                self._is_sending = False
                self._changed.notify_all()
            self._is_flushing.wait(FOLDED_SECONDS)

    def _flush_at_exit(self) -> None:
        # A management command may end a moment after its commit.
        self.flush(4 * settings.WAKE_TIMEOUT_SECONDS)


publisher = Publisher()


def wake_on_commit(
    company_id: int, *, after_seconds: float = 0.0, using: str = "default"
) -> None:
    """Wake the company's lane after the commit: once, however often this is called in the transaction.

    With `after_seconds`, that long after the commit, rounded up to whole seconds.
    """
    wake_up = _wake_up(company_id, float(math.ceil(max(0.0, after_seconds))))
    if not any(entry[1] is wake_up for entry in connections[using].run_on_commit):
        transaction.on_commit(wake_up, using=using, robust=True)


@lru_cache(maxsize=1_000)
def _wake_up(company_id: int, after_seconds: float) -> Callable[[], None]:
    """The same function each time, by which a transaction recognises a wake-up that it has registered already."""

    def wake_up() -> None:
        failpoints.reached("before_wake")
        publisher.request(company_id, after_seconds=after_seconds)

    return wake_up
