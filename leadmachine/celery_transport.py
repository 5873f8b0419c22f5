"""The way to Redis. A wake-up may be lost, so nothing of it is kept there; and nothing that Redis does ends a worker.

kombu's own transport writes each message that is taken into a hash, and puts it back when its connection ends. That
asks a broker that may be gone, and ended the process: docs/decisions/wake-ups-in-memory.md.

A process that has no Redis has a way inside itself.
"""

import base64
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from json import JSONDecodeError
from queue import Empty
from typing import Any, Final

from celery.worker import consumer
from django.db import Error as DatabaseError
from kombu.transport import memory, redis, virtual
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from leadmachine import installation

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2


class QoS(virtual.QoS):
    """Counts in this process what is taken and not yet begun, so that no worker takes all; says nothing to Redis.

    What was not begun when the connection ends is gone. The sweep finds what it would have told of.
    """

    restore_at_shutdown = False

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        self.ack(delivery_tag)  # type: ignore[no-untyped-call]

    def restore_unacked(self) -> list[Any]:
        self._delivered.clear()
        return []


class Channel(redis.Channel):
    QoS = QoS  # type: ignore[assignment]

    @property
    def global_keyprefix(self) -> str:  # type: ignore[override]
        """What stands before each key in Redis, so that installations that share one have queues of their own."""
        try:
            return f"leadmachine:{installation.name()}:"
        except DatabaseError as error:
            raise ConnectionLost(f"the database does not say which queue is ours: {error}") from error

    def close(self) -> None:
        # kombu waits here for the answer of a broker that may be gone, for a message that nobody would take.
        self._in_poll = False
        with failures_as_lost_connection():
            super().close()  # type: ignore[no-untyped-call]

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            _tell()
            raise Empty from None  # which is what kombu itself says where there is nothing


class Poller(redis.MultiChannelPoller):
    """The two doors through which a worker's loop comes to Redis."""

    def on_poll_start(self) -> None:
        with failures_as_lost_connection():
            super().on_poll_start()  # type: ignore[no-untyped-call]

    def on_readable(self, fileno: int) -> Any:
        with failures_as_lost_connection():
            return super().on_readable(fileno)  # type: ignore[no-untyped-call]


class Transport(redis.Transport):
    Channel = Channel
    # What Redis refuses, such as a write to a new replica, passes as a lost connection does: by trying again.
    connection_errors = (*redis.Transport.connection_errors, RedisError)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self.cycle = Poller()  # type: ignore[no-untyped-call, assignment]

    def _deliver(self, message: Any, queue: str) -> None:
        if _is_message(message):
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]
        else:
            _tell()


@contextmanager
def failures_as_lost_connection() -> Iterator[None]:
    """Raises ConnectionLost for every failure that Celery would end the worker for: it connects again instead."""
    try:
        yield
    except (Empty, *Transport.connection_errors):
        raise
    except Exception as error:
        logger.exception("The way to the broker failed; connecting again.")
        raise ConnectionLost(f"{type(error).__name__}: {error}") from error


class MemoryTransport(memory.Transport):
    """Lets an embedded worker look every LOOK_SECONDS whether it is to end: Celery's loop waits for two seconds."""

    def drain_events(self, connection: Any, timeout: float | None = None, **options: Any) -> None:
        timeout = timeout and min(timeout, LOOK_SECONDS)
        super().drain_events(connection, timeout=timeout, **options)  # type: ignore[no-untyped-call]


def _is_message(raw: Any) -> bool:
    """True if kombu can take it apart. What it holds is Celery's to judge, which refuses without falling."""
    try:
        properties = raw["properties"]
        known = properties["delivery_tag"], *(properties["delivery_info"][name] for name in ("exchange", "routing_key"))
        base64.b64decode(raw["body"])
    except (TypeError, KeyError, ValueError):
        return False
    return all(isinstance(text, str) for text in known) and properties.get("body_encoding") == "base64"


def _tell() -> None:
    logger.warning("Something in the broker's queue was no message of ours; it was thrown away.")


# --- The part of a Celery worker that listens to the broker: for wake-ups, and for nothing else.

# What workers tell each other is of no use here, and each is one more connection that dies with the broker.
QUIET: Final = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's, without gossip, mingle and heartbeats, however the worker is started."""

    def __init__(self, *args: Any, worker_options: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(*args, worker_options={**(worker_options or {}), **QUIET}, **options)
