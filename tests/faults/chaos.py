"""The long fault runs: `python -m tests.faults.chaos --runs 20 --seed 7`.

Every fault test is repeated so many times as often as in `make test`, with random times and histories from the seed.
A seed that fails is kept in tests/faults/failed_seeds.txt, and from then on runs first, each time.
"""

import argparse
import os
import random
import subprocess
import sys
from pathlib import Path

KEPT = Path(__file__).with_name("failed_seeds.txt")


def main() -> int:
    arguments = _arguments()
    seeds = [*kept_seeds(), arguments.seed]
    failed = [seed for seed in seeds if run(seed, arguments.runs, arguments.only) != 0]
    if failed:
        keep(failed)
        print(f"Broken with the seeds {failed}; kept in {KEPT.name}.")
        return 1
    print(f"{arguments.runs} runs with each of the seeds {seeds}: nothing lost, nothing accepted that was not.")
    return 0


def run(seed: int, runs: int, only: str) -> int:
    """All fault tests with this seed. pytest's exit code."""
    print(f"seed {seed}, {runs} runs", flush=True)
    environment = {**os.environ, "CHAOS_RUNS": str(runs), "CHAOS_SEED": str(seed)}
    words = [sys.executable, "-m", "pytest", "-q", "-m", "faults", "-k", only, "--timeout", "0", "tests/faults"]
    return subprocess.run(words, env=environment, check=False).returncode


def kept_seeds() -> list[int]:
    return [int(line) for line in KEPT.read_text().split()] if KEPT.exists() else []


def keep(failed: list[int]) -> None:
    KEPT.write_text("".join(f"{seed}\n" for seed in dict.fromkeys([*kept_seeds(), *failed])))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how many times as much as in make test")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="a random one, and printed")
    parser.add_argument("--only", default="", metavar="WORDS", help="such as f11, or 'f25 or f26' (pytest's -k)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
