"""How much is done: repetitions per run, the figures to reach, and the tally that is printed at the end."""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import size

# 1 in `make faults`; `make chaos` sets more.
RUNS = int(os.environ.get("CHAOS_RUNS", "1"))
LONG = os.environ.get("CHAOS_LONG") == "1"  # the run before a release
SEED = int(os.environ.get("CHAOS_SEED", "20261125"))


# What a run before a release has to reach (docs/reliability.md).
GOALS = {
    "kills": 1_000,
    "kills of a web server": 60,
    "zombies": 50,
    "broker faults": 300,
    "broker faults under held messages": 200,
    "silent cuts of the broker": 41,
    "database restarts": 100,
    "connections ended at a statement": 1_000,
    "silent cuts of the database": 40,
    "dropped lines to the database": 40,
    "dropped lines to the broker": 40,
    "power cuts": 24,
    "fault-free events": 1_000_000,
    "malformed answers": 1_000_000,
    "kinds of faulty answers": 80,
    "histories": 2_000,
    "sequences of answers": 1_000,
    "histories of alerts": 1_000,
    "writes on a small installation": 20_000,
    "token rows rotated": 10_000,
    "kills of a rotation": 100,
    "leads imported": 100_000,
    "malformed files of leads": 3_000,
}

TALLY: Counter[str] = Counter()
FAILED_SEEDS: list[int] = []
_KINDS: set[tuple[str, str]] = set()


def rounds(quick: int, *, long: int) -> int:
    """How often to repeat: `quick` times for each of the runs, or `long` times in the run before a release.

    In `make test` a tenth of `quick`, but at least once.
    """
    if LONG:
        return long
    return max(1, quick // 10) if size.SMALL else quick * RUNS


def count(what: str, number: int = 1) -> None:
    """Add to the tally, such as "kills"."""
    TALLY[what] += number


def count_kind(what: str, name: str) -> None:
    """Add to the tally, but only once for each name."""
    if (what, name) not in _KINDS:
        _KINDS.add((what, name))
        count(what)


def seeds(number: int) -> Iterator[int]:
    """`number` seeds, from the run's seed on. To repeat a failure, run one round with the seed that failed."""
    yield from range(SEED, SEED + number)


@contextmanager
def chance(seed: int) -> Iterator[random.Random]:
    """Yields dice with this seed, which is kept if the block fails."""
    try:
        yield random.Random(seed)
    except BaseException:
        FAILED_SEEDS.append(seed)
        raise


def told() -> str:
    """The tally in a line."""
    kind = "long" if LONG else f"runs {RUNS}"
    return f"faults (seed {SEED}, {kind}): " + ", ".join(
        f"{number:,} {what}" for what, number in TALLY.items()
    )


def keep(path: Path) -> None:
    """Write the tally and the seeds that failed to a file."""
    path.write_text(json.dumps({"tally": TALLY, "failed_seeds": FAILED_SEEDS}))
