"""The Celery transports: Redis, and memory for a process without Redis.

A wake-up may be lost, so Redis keeps no unacknowledged messages, and no failure of Redis ends a worker. By default,
kombu writes each received message into a hash and restores it when the connection ends. That needs a broker that may be
gone, and ended the process: docs/decisions/wake-ups-in-memory.md.
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


class NotAMessage(ValueError):
    """An entry in the queue that kombu can't decode."""


class CheckedMessage(virtual.Message):
    """Raises NotAMessage. Celery checks the content, and rejects a bad one without failing."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        if not _is_message(payload):
            raise NotAMessage
        super().__init__(payload, channel, **options)  # type: ignore[no-untyped-call]


class RedisChannel(redis.Channel):
    """Counts prefetched messages in this process only, so that no worker takes them all. Writes none to Redis again.

    Messages that have not been started when the connection ends are lost. The sweep finds their companies.
    """

    Message = CheckedMessage
    ack_emulation = False
    do_restore = False

    @property
    def global_keyprefix(self) -> str:  # type: ignore[override]
        """The prefix of each key in Redis, so that installations that share one have separate queues.

        Raises ConnectionLost if the database can't be queried.
        """
        try:
            return f"leadmachine:{installation.name()}:"
        except DatabaseError as error:
            raise ConnectionLost(
                f"the queue's name can't be read from the database: {error}"
            ) from error

    def close(self) -> None:
        # Otherwise kombu would wait for the reply of a broker that may be gone, for a message that is not needed.
        client = vars(self).get("client")  # none if it has never connected
        with failures_as_lost_connection():
            if client is not None and client.connection is not None:
                client.connection.disconnect()
            super().close()  # type: ignore[no-untyped-call]

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().basic_reject(delivery_tag, requeue=False)  # type: ignore[no-untyped-call]


class Poller(redis.MultiChannelPoller):
    """The two entry points from a worker's loop to Redis."""

    def on_poll_start(self) -> None:
        with failures_as_lost_connection():
            super().on_poll_start()  # type: ignore[no-untyped-call]

    def on_readable(self, fileno: int) -> Any:
        with failures_as_lost_connection():
            try:
                return super().on_readable(fileno)  # type: ignore[no-untyped-call]
            except (NotAMessage, JSONDecodeError, UnicodeDecodeError, RecursionError):
                logger.warning(
                    "Discarded an entry in the broker's queue that was not a LeadMachine message."
                )
                raise Empty from None  # as kombu does when the queue is empty


class Transport(redis.Transport):
    Channel = RedisChannel
    # Errors of Redis itself, such as a write to a new replica, are temporary like a lost connection: try again.
    connection_errors = (*redis.Transport.connection_errors, RedisError)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self.cycle = Poller()  # type: ignore[no-untyped-call, assignment]


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

    def drain_events(
        self, connection: Any, timeout: float | None = None, **options: Any
    ) -> None:
        timeout = timeout and min(timeout, POLL_SECONDS)
        super().drain_events(connection, timeout=timeout, **options)  # type: ignore[no-untyped-call]


def _is_message(raw: Any) -> bool:
    """Return True if kombu can decode the message."""
    try:
        properties = raw["properties"]
        texts = (
            properties["delivery_tag"],
            *(
                properties["delivery_info"][name]
                for name in ("exchange", "routing_key")
            ),
        )
        base64.b64decode(raw["body"])
    except (TypeError, KeyError, ValueError):
        return False
    return (
        all(isinstance(text, str) for text in texts)
        and properties.get("body_encoding") == "base64"
    )


# Workers need nothing from each other, and each of these would be one more connection that breaks with the broker.
QUIET: Final = {
    "without_gossip": True,
    "without_mingle": True,
    "without_heartbeat": True,
}


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's consumer without gossip, mingle and heartbeats, however the worker is started."""

    def __init__(
        self,
        *args: Any,
        worker_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            *args, worker_options={**(worker_options or {}), **QUIET}, **options
        )
