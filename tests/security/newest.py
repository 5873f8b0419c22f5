"""S47: whether each pinned package is the newest patch of its line: `python -m tests.security.newest`.

Exits with 0 if all are, 1 if some are behind, and 2 if the package index can't be reached: then it is unknown, which
is no pass. It is a step of a release and no test, because what others publish must not make anyone's commit fail.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[2] / "requirements.lock"
BEHIND, UNKNOWN = 1, 2


def main() -> int:
    outdated = _ask()
    if outdated is None:
        print("The package index can't be asked: nobody knows whether there are newer patches.")
        return UNKNOWN
    behind = behind_in(outdated, pinned(LOCK.read_text()))
    print("\n".join(behind) or "Each package is the newest patch of its line.")
    return BEHIND if behind else 0


def pinned(lock: str) -> dict[str, str]:
    """The version of each package of a lock file, by its name in lower case."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", lock, re.MULTILINE)
    return {name.lower(): version for name, version in found}


def behind_in(outdated: list[dict[str, Any]], versions: dict[str, str]) -> list[str]:
    """A line for each package that has a newer patch. A newer minor or major version is no patch."""
    return [
        f"{row['name']} {row['version']}: {row['latest_version']} is out"
        for row in outdated
        if row["name"].lower() in versions and _line(row["version"]) == _line(row["latest_version"])
    ]


def _line(version: str) -> list[str]:
    return version.split(".")[:2]


def _ask() -> list[dict[str, Any]] | None:
    asked = [sys.executable, "-m", "pip", "list", "--outdated", "--format", "json", "--disable-pip-version-check"]
    environment = {**os.environ, "PIP_RETRIES": "0", "PIP_TIMEOUT": "5"}
    run = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment)
    if run.returncode or "WARNING: Retrying" in run.stderr or "Could not fetch" in run.stderr:
        return None
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
