"""How often something may be done in a minute, counted in the cache by all web processes together."""

import time
from typing import Final, Protocol, cast

from django.core.cache import cache

WINDOW_SECONDS: Final = 60


class Counter(Protocol):
    """What the settings' cache can do beyond Django's own: see leadmachine/cache.py."""

    def count(self, key: str, seconds: int) -> int: ...


class TooOften(Exception):
    """It was done as often as a minute allows. The text is a sentence for the person who did it."""


def is_within(name: str, *, at_most: int) -> bool:
    """Count one more use of `name` in this minute. False once there are more than `at_most`.

    `name` begins with what it limits and holds the company's id, so that no two companies share a counter (S06).
    """
    counter = f"{name}:{int(time.time()) // WINDOW_SECONDS}"
    return cast(Counter, cache).count(counter, 2 * WINDOW_SECONDS) <= at_most


def check(what: str, *, company_id: int, at_most: int) -> None:
    """Count one more use by a company. Raises TooOften beyond `at_most` in this minute (S42)."""
    if not is_within(f"company:{company_id}:{what}", at_most=at_most):
        raise TooOften(f"Your company may do this {at_most} times a minute. Wait a minute, then try again.")
