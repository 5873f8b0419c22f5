"""The size of tests: those that make thousands of requests or histories make a few of them in `make test`.

`SMALL_SIZE=1` says so, and only `make test` sets it. `make faults` runs all that is marked `sized` in full.
"""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

SMALL = os.environ.get("SMALL_SIZE") == "1"


def sized(full: int, *, small: int) -> int:
    return small if SMALL else full


def sized_sample(rows: Sequence[T], *, one_in: int) -> list[T]:
    """All rows in random order, by the seed of the tests' order; in `make test` one in so many of them."""
    return random.sample(rows, sized(len(rows), small=len(rows) // one_in))
