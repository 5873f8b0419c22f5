"""How often something may be done in a minute, counted in the cache by all web processes together."""

import time
from typing import Final

from django.core.cache import cache

WINDOW_SECONDS: Final = 60


class TooOften(Exception):
    """It was done as often as a minute allows. The text is a sentence for the person who did it."""


def is_within(name: str, *, at_most: int) -> bool:
    """Count one more use of `name` in this minute. False once there are more than `at_most`.

    `name` begins with what it limits and holds the company's id, so that no two companies share a counter (S06).
    """
    counter = f"{name}:{int(time.time()) // WINDOW_SECONDS}"
    cache.add(counter, 0, 2 * WINDOW_SECONDS)
    try:
        return cache.incr(counter) <= at_most
    except ValueError:  # the cache forgot it between the two
        return True


def check(what: str, *, company_id: int, at_most: int) -> None:
    """Count one more use by a company. Raises TooOften beyond `at_most` in this minute (S42)."""
    if not is_within(f"company:{company_id}:{what}", at_most=at_most):
        raise TooOften(f"Your company may do this {at_most} times a minute. Wait a minute, then try again.")
