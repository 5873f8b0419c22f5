"""The size of tests: those that make thousands of requests or histories make a few of them in `make test`.

`SMALL_SIZE=1` says so, and only `make test` sets it. `make faults` runs all that is marked `sized` in full.
"""

import os

SMALL = os.environ.get("SMALL_SIZE") == "1"


def sized(full: int, *, small: int) -> int:
    return small if SMALL else full
