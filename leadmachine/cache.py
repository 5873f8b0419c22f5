"""The cache that all web processes share. Its contents may be lost at any time."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from leadmachine import installation

# How long Redis is left alone after it was unreachable or too slow.
REST_SECONDS: Final = 5.0
# A response that takes longer is slow: a Redis nearby takes 0.0004 s.
SLOW_SECONDS: Final = 0.02
# The total that all threads of a process wait for slow responses within REST_SECONDS.
PATIENCE_SECONDS: Final = 0.5


class JsonSerializer:
    """JSON instead of pickle: anyone who can write to Redis could run code in our processes through a pickle."""

    def dumps(self, value: Any) -> Any:
        # Integers stay as they are, because Redis increments them itself.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


@dataclass(slots=True)
class Patience:
    """A circuit breaker: this process stops using Redis for REST_SECONDS after a failure or too many slow responses."""

    rests_until: float = 0.0
    began: float = 0.0
    waited: float = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() < self.rests_until

    def spend(self, seconds: float) -> None:
        """Record how long a response took."""
        if seconds < SLOW_SECONDS:
            return
        now = time.monotonic()
        if now >= self.began + REST_SECONDS:
            self.began, self.waited = now, 0.0
        self.waited += seconds
        if self.waited >= PATIENCE_SECONDS:
            self.give_up()

    def give_up(self) -> None:
        self.rests_until = time.monotonic() + REST_SECONDS

    def forget(self) -> None:
        """Reset, as in a new process."""
        self.rests_until = self.began = self.waited = 0.0


patience = Patience()


class OwnCache(LocMemCache):
    """The memory of this process."""

    def count(self, keys: Sequence[str], seconds: int) -> list[int]:
        """Increment each key, which expires this many seconds after its first use. Returns the new counts."""
        return [self._count(key, seconds) for key in keys]

    def _count(self, key: str, seconds: int) -> int:
        self.add(key, 0, seconds)
        try:
            return self.incr(key)
        except ValueError:  # expired between the two calls
            return 1


class CountingRedisCache(RedisCache):
    def count(self, keys: Sequence[str], seconds: int) -> list[int]:
        """As in `OwnCache`, in one round trip. Django's `add` and `incr` would need three for each key."""
        with self._cache.get_client(write=True).pipeline() as pipeline:
            for key in map(self.make_and_validate_key, keys):
                pipeline.set(key, 0, ex=seconds, nx=True)
                pipeline.incr(key)
            counts: list[int] = pipeline.execute()[1::2]
        return counts


def _with_fallback(name: str) -> Callable[..., Any]:
    def call(self: "SharedCache", *args: Any, **kwargs: Any) -> Any:
        if not patience.is_over:
            try:
                # The first call queries the database, whose time must not count for
                # Redis.
                installation.name()
                started = time.monotonic()
                try:
                    return getattr(super(SharedCache, self), name)(*args, **kwargs)
                finally:
                    patience.spend(time.monotonic() - started)
            except RedisError:
                patience.give_up()
            except DatabaseError:
                pass  # without the database, the installation's key prefix is unknown
        return getattr(self._fallback, name)(*args, **kwargs)

    return call


class SharedCache(CountingRedisCache):
    """Redis, or this process's memory while Redis is unreachable or slow, so that people can still sign in."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._fallback = OwnCache("while-redis-is-away", {})

    add, get, set, delete, incr, count = (
        _with_fallback(name)
        for name in ("add", "get", "set", "delete", "incr", "count")
    )
