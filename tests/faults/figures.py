"""How much was done: repetitions per run, and the tally that is printed at the end."""

import os
from collections import Counter

# 1 in `make test`; `make chaos` sets more.
RUNS = int(os.environ.get("CHAOS_RUNS", "1"))
SEED = int(os.environ.get("CHAOS_SEED", "20261125"))

TALLY: Counter[str] = Counter()


def count(what: str, number: int = 1) -> None:
    """Add to the tally, such as "kills"."""
    TALLY[what] += number


def told() -> str:
    """The tally in a line."""
    return f"faults (seed {SEED}, runs {RUNS}): " + ", ".join(f"{number} {what}" for what, number in TALLY.items())
