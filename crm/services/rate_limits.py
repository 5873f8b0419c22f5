"""Limits per minute, hour or day, and for what runs at a time, counted in the cache across all web processes."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol, cast

from django.core.cache import cache

WINDOW_SECONDS: Final = 60
HOUR_SECONDS: Final = 3600
DAY_SECONDS: Final = 86_400


class CountingCache(Protocol):
    """The method that our cache adds to Django's: see leadmachine/cache.py."""

    def count(self, keys: Sequence[str], seconds: int) -> list[int]: ...


class TooOften(Exception):
    """The limit has been reached. The message is for the user."""


def is_within(name: str, *, at_most: int, seconds: int | None = None) -> bool:
    """Count one use of `name` in this minute, or this span of `seconds`. False if that makes more than `at_most`.

    `name` includes the company's id, so that companies never share a counter.
    """
    return are_within({name: at_most}, seconds=seconds)


def are_within(limits: Mapping[str, int], *, seconds: int | None = None) -> bool:
    """Like `is_within`, for several names in one round trip. If one name refuses, those after it count nothing."""
    window = seconds or WINDOW_SECONDS
    counters = {f"{name}:{int(time.time()) // window}": at_most for name, at_most in limits.items()}
    counts = cast(CountingCache, cache).count([*counters], 2 * window)
    refused = [number > at_most for number, at_most in zip(counts, counters.values(), strict=True)]
    if True not in refused:
        return True
    for counter in [*counters][refused.index(True) + 1 :]:
        with suppress(ValueError):  # Redis went away in between, with the counter
            cache.decr(counter)
    return False


def seconds_left() -> float:
    """How many seconds this minute has left."""
    return WINDOW_SECONDS - time.time() % WINDOW_SECONDS


def check(what: str, *, company_id: int, at_most: int) -> None:
    """Count one use by a company. Raises TooOften beyond `at_most` in this minute."""
    if not is_within(f"company:{company_id}:{what}", at_most=at_most):
        raise TooOften(f"Your company may do this {at_most} times a minute. Wait a minute, then try again.")


def take_place(what: str, *, company_id: int, places: int, seconds: int) -> str:
    """Take one of a company's places for something that lasts. Returns its name, for `leave_place`.

    Raises TooOften if all are taken. A place whose process was killed is free again after `seconds`.
    """
    for number in range(places):
        place = f"company:{company_id}:{what}:place:{number}"
        if cache.add(place, 1, seconds):
            return place
    raise TooOften(f"Your company is doing this {places} times at the moment. Wait until one is done, then try again.")


def leave_place(place: str) -> None:
    cache.delete(place)
