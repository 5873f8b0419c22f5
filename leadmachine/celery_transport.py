"""The Celery transports: Redis, and memory for a process without Redis.

A wake-up may be lost, so Redis keeps no unacknowledged messages, and no failure of Redis ends a worker. kombu's own
transport writes each received message into a hash and restores it when the connection ends. That needs a broker that
may be gone, and ended the process: docs/decisions/wake-ups-in-memory.md.
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

POLL_SECONDS = 0.2


class QoS(virtual.QoS):
    """Counts prefetched messages in this process only, so that no worker takes them all. Writes nothing to Redis.

    Messages that have not been started when the connection ends are lost. The sweep finds their companies.
    """

    restore_at_shutdown = False

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        self.ack(delivery_tag)  # type: ignore[no-untyped-call]

    def restore_unacked(self) -> list[Any]:
        self._delivered.clear()
        return []


class RedisChannel(redis.Channel):
    QoS = QoS  # type: ignore[assignment]

    @property
    def global_keyprefix(self) -> str:  # type: ignore[override]
        """The prefix of each key in Redis, so that installations that share one have separate queues.

        Raises ConnectionLost if the database can't be queried.
        """
        try:
            return f"leadmachine:{installation.name()}:"
        except DatabaseError as error:
            raise ConnectionLost(f"the queue's name can't be read from the database: {error}") from error

    def close(self) -> None:
        # Otherwise kombu would wait for the reply of a broker that may be gone, for a message that is not needed.
        self._in_poll = False
        with failures_as_lost_connection():
            super().close()  # type: ignore[no-untyped-call]

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            _log_discarded_message()
            raise Empty from None  # as kombu does when the queue is empty


class Poller(redis.MultiChannelPoller):
    """The two entry points from a worker's loop to Redis."""

    def on_poll_start(self) -> None:
        with failures_as_lost_connection():
            super().on_poll_start()  # type: ignore[no-untyped-call]

    def on_readable(self, fileno: int) -> Any:
        with failures_as_lost_connection():
            return super().on_readable(fileno)  # type: ignore[no-untyped-call]


class Transport(redis.Transport):
    Channel = RedisChannel
    # Errors of Redis itself, such as a write to a new replica, are temporary like a lost connection: try again.
    connection_errors = (*redis.Transport.connection_errors, RedisError)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self.cycle = Poller()  # type: ignore[no-untyped-call, assignment]

    def _deliver(self, message: Any, queue: str) -> None:
        if _is_message(message):
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]
        else:
            _log_discarded_message()


@contextmanager
def failures_as_lost_connection() -> Iterator[None]:
    """Raise ConnectionLost for any failure that would end the worker, so that Celery reconnects instead."""
    try:
        yield
    except (Empty, *Transport.connection_errors):
        raise
    except Exception as error:
        logger.exception("The connection to the broker failed; reconnecting.")
        raise ConnectionLost(f"{type(error).__name__}: {error}") from error


class MemoryTransport(memory.Transport):
    """Lets an embedded worker check every POLL_SECONDS whether to stop: Celery's own loop waits for two seconds."""

    def drain_events(self, connection: Any, timeout: float | None = None, **options: Any) -> None:
        timeout = timeout and min(timeout, POLL_SECONDS)
        super().drain_events(connection, timeout=timeout, **options)  # type: ignore[no-untyped-call]


def _is_message(raw: Any) -> bool:
    """Return True if kombu can decode the message. Celery checks the content, and rejects a bad one without failing."""
    try:
        properties = raw["properties"]
        texts = properties["delivery_tag"], *(properties["delivery_info"][name] for name in ("exchange", "routing_key"))
        base64.b64decode(raw["body"])
    except (TypeError, KeyError, ValueError):
        return False
    return all(isinstance(text, str) for text in texts) and properties.get("body_encoding") == "base64"


def _log_discarded_message() -> None:
    logger.warning("Discarded an entry in the broker's queue that was not a LeadMachine message.")


# Workers need nothing from each other, and each of these would be one more connection that breaks with the broker.
QUIET: Final = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's consumer without gossip, mingle and heartbeats, however the worker is started."""

    def __init__(self, *args: Any, worker_options: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(*args, worker_options={**(worker_options or {}), **QUIET}, **options)
