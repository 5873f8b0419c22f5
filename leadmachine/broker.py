"""The way to Redis: what is no message in a queue of ours is thrown away, where kombu would end the worker for it."""

import base64
import logging
from json import JSONDecodeError
from queue import Empty
from typing import Any

from kombu.transport import redis

logger = logging.getLogger(__name__)


class Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            _tell()
            raise Empty from None  # which is what kombu itself says where there is nothing


class Transport(redis.Transport):
    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        if _is_message(message):
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]
        else:
            _tell()


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
