"""The cache that all web processes share. What is in it may be lost at any time."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from leadmachine import installation

REST_SECONDS: Final = 5.0  # how long Redis is not asked again after it was out of reach or too slow
SLOW_SECONDS: Final = 0.02  # an answer that takes longer is slow: a Redis nearby takes 0.0004 s
PATIENCE_SECONDS: Final = 0.5  # that all threads of a process together wait for slow answers, in REST_SECONDS


class JsonSerializer:
    """Data only: whoever can write to Redis can't make us run anything, as they could with pickles."""

    def dumps(self, value: Any) -> Any:
        # Redis counts up whole numbers itself, so these stay bare.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


@dataclass(slots=True)
class Patience:
    """How long this process still waits for Redis: not at all for a while after it failed, or was slow for too long."""

    rests_until: float = 0.0
    began: float = 0.0
    waited: float = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() < self.rests_until

    def spend(self, seconds: float) -> None:
        """Note how long an answer took."""
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
        """Begin again, as in a new process."""
        self.rests_until = self.began = self.waited = 0.0


patience = Patience()


class OwnCache(LocMemCache):
    """The memory of this process alone."""

    def count(self, key: str, seconds: int) -> int:
        """Count `key` up by one; it is forgotten after so many seconds from the first. Returns the new number."""
        self.add(key, 0, seconds)
        try:
            return self.incr(key)
        except ValueError:  # forgotten between the two
            return 1


class CountingRedisCache(RedisCache):
    def count(self, key: str, seconds: int) -> int:
        """As above, in one round trip. Django's `add` and `incr` make three of it."""
        key = self.make_and_validate_key(key)
        with self._cache.get_client(key, write=True).pipeline() as both:
            both.set(key, 0, ex=seconds, nx=True)
            both.incr(key)
            number: int = both.execute()[-1]
        return number


def _kept_going(name: str) -> Callable[..., Any]:
    def call(self: "SharedCache", *args: Any, **kwargs: Any) -> Any:
        if not patience.is_over:
            try:
                installation.name()  # the first time it asks the database, whose time is none of Redis's
                began = time.monotonic()
                try:
                    return getattr(super(SharedCache, self), name)(*args, **kwargs)
                finally:
                    patience.spend(time.monotonic() - began)
            except RedisError:
                patience.give_up()
            except DatabaseError:
                pass  # which installation's keys they are can't be known now
        return getattr(self._own, name)(*args, **kwargs)

    return call


class SharedCache(CountingRedisCache):
    """Redis; and this process's own memory while Redis is out of reach or slow, so that people can still sign in."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = OwnCache("while-redis-is-away", {})

    add, get, set, delete, incr, count = (
        _kept_going(name) for name in ("add", "get", "set", "delete", "incr", "count")
    )
