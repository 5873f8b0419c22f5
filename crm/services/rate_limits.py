"""Limits per minute, hour or day, and for what runs at a time, counted in the cache across all web processes."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol, cast

from django.core.cache import cache

WINDOW_SECONDS: Final = 60
HOUR_SECONDS: Final = 3600
DAY_SECONDS: Final = 86_400
SLOT_SECONDS: Final = 10  # until a retry: it can't be known when a slot will be free


class CountingCache(Protocol):
    """The method that our cache adds to Django's: see leadmachine/cache.py."""

    def count(self, keys: Sequence[str], seconds: int) -> list[int]: ...


class TooOften(Exception):
    """The limit has been reached. The message is for the user; `seconds` says when to try again."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


def is_within(name: str, *, at_most: int, seconds: int | None = None) -> bool:
    """Count one use of `name` in this minute, or this span of `seconds`. False if that makes more than `at_most`.

    `name` includes the company's id, so that companies never share a counter.
    """
    return are_within({name: at_most}, seconds=seconds)


def are_within(limits: Mapping[str, int], *, seconds: int | None = None) -> bool:
    """Like `is_within`, for several names in one round trip. If one name refuses, those after it count nothing."""
    window = seconds or WINDOW_SECONDS
    counters = {
        f"{name}:{int(time.time()) // window}": at_most
        for name, at_most in limits.items()
    }
    counts = cast(CountingCache, cache).count([*counters], 2 * window)
    refused = [
        number > at_most
        for number, at_most in zip(counts, counters.values(), strict=True)
    ]
    if True not in refused:
        return True
    for counter in [*counters][refused.index(True) + 1 :]:
        with suppress(ValueError):  # Redis went away in between, with the counter
            cache.decr(counter)
    return False


def give_back(name: str, *, seconds: int) -> None:
    """Take back one use of `name` that `is_within` has counted in this span of `seconds`."""
    # Redis went away in between, with the counter, or the span has ended.
    with suppress(ValueError):
        cache.decr(f"{name}:{int(time.time()) // seconds}")


def seconds_left(window: int = WINDOW_SECONDS) -> float:
    """How many seconds this minute, or this span of `window` seconds, has left."""
    return window - time.time() % window


def check(
    what: str, *, company_id: int, at_most: int, an_hour: int | None = None
) -> None:
    """Count one use by a company. Raises TooOften beyond `at_most` in this minute, or `an_hour` in this hour."""
    name = f"company:{company_id}:{what}"
    if not is_within(name, at_most=at_most):
        why = f"Your company may do this {at_most} times a minute. Wait a minute, then try again."
        raise TooOften(why, seconds=seconds_left())
    if an_hour is not None and not is_within(
        f"{name}:hour", at_most=an_hour, seconds=HOUR_SECONDS
    ):
        why = f"Your company may do this {an_hour} times an hour. Wait an hour, then try again."
        raise TooOften(why, seconds=seconds_left(HOUR_SECONDS))


def take_slot(what: str, *, company_id: int, slots: int, seconds: int) -> str:
    """Take one of a company's slots for something that lasts. Returns its name, for `free_slot`.

    Raises TooOften if all are taken. A slot whose process was killed is free again after `seconds`.
    """
    for number in range(slots):
        slot = f"company:{company_id}:{what}:slot:{number}"
        if cache.add(slot, 1, seconds):
            return slot
    why = f"Your company is doing this {slots} times at the moment. Wait until one is done, then try again."
    raise TooOften(why, seconds=SLOT_SECONDS)


def free_slot(slot: str) -> None:
    cache.delete(slot)
