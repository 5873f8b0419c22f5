"""The cache that all web processes share. What is in it may be lost at any time."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

REST_SECONDS: Final = 5  # how long Redis is not asked again after it was out of reach


class JsonSerializer:
    """Data only: whoever can write to Redis can't make us run anything, as they could with pickles."""

    def dumps(self, value: Any) -> Any:
        # Redis counts up whole numbers itself, so these stay bare.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


def _kept_going(name: str) -> Callable[..., Any]:
    def call(self: "SharedCache", *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= SharedCache._rests_until:
            try:
                return getattr(super(SharedCache, self), name)(*args, **kwargs)
            except RedisError:
                SharedCache._rests_until = time.monotonic() + REST_SECONDS
        return getattr(self._own, name)(*args, **kwargs)

    return call


class SharedCache(RedisCache):
    """Redis; and this process's own memory while Redis is out of reach, so that people can still sign in."""

    _rests_until = 0.0

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("while-redis-is-away", {})

    add, get, set, delete, incr = (_kept_going(name) for name in ("add", "get", "set", "delete", "incr"))
