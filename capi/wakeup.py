"""Telling a worker that a lane has something to send. Only for speed: the sweep finds what no wake-up told of."""

import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celery import current_app
from django.conf import settings
from kombu.connection import Connection
from kombu.pools import producers

logger = logging.getLogger(__name__)

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
    from capi.tasks import deliver

    if breaker.is_open:
        return False
    try:
        with producers[_broker()].acquire(block=True, timeout=settings.WAKE_TIMEOUT_SECONDS) as producer:
            deliver.apply_async([company_id], countdown=after_seconds or None, producer=producer, retry=False)
    except Exception as error:  # whatever the broker's client raises: a save must not fail for it
        breaker.trip(error)
        return False
    return True


@lru_cache(maxsize=1)
def _broker() -> Connection:
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
