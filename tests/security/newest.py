"""S47: whether the locked packages are the newest ones, and without known vulnerabilities. `make lock` ends with it.

Exits with 0 if all are, 1 if one is behind or vulnerable, and 2 if the package index or the database of vulnerabilities
can't be asked: then it is unknown, which is no pass. It is a step of `make lock` and no test, because what others
publish must not make anyone's commit fail.
"""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
# Has the packages of requirements.lock, too.
LOCK: Final = ROOT / "requirements-dev.lock"
BEHIND, UNKNOWN = 1, 2
COMPILE: Final = (
    "uv",
    "pip",
    "compile",
    "-q",
    "--no-header",
    "--no-annotate",
    "--python-version",
    "3.11",
)
AUDIT: Final = (
    "uv",
    "tool",
    "run",
    "pip-audit==2.10.1",
    "--disable-pip",
    "--require-hashes",
    "--format",
    "json",
)

Versions = dict[str, set[str]]


class CantAsk(Exception):
    """The index, or the database, gave no answer."""


def main() -> int:
    try:
        results = [newest_allowed(), newest_at_all(), vulnerabilities()]
    except FileNotFoundError:
        print("uv is needed: nothing was checked.")
        return UNKNOWN
    return BEHIND if BEHIND in results else max(results)


def newest_allowed() -> int:
    """Print each package of which a newer release could be locked."""
    try:
        allowed = pinned(
            _run(*COMPILE, "--universal", "pyproject.toml", "--group", "dev")
        )
    except CantAsk:
        print("NOT CHECKED: the package index can't be asked for newer releases.")
        return UNKNOWN
    behind = behind_in(allowed, pinned(LOCK.read_text()))
    for name, versions in behind.items():
        print(f"Behind: {name}, {versions}. Run make lock UPGRADE=1. {_notices(name)}")
    if not behind:
        print("Each package is the newest release that its requirements allow.")
    return BEHIND if behind else 0


def newest_at_all() -> int:
    """Print each package that a requirement holds back: ours, or one of another package. That is no failure."""
    locked = pinned(LOCK.read_text())
    try:
        newest = pinned(_run(*COMPILE, "--no-deps", "-", given="\n".join(locked)))
    except CantAsk:
        print(
            "NOT CHECKED: the package index can't be asked for releases that requirements hold back."
        )
        return UNKNOWN
    for name, versions in behind_in(newest, locked).items():
        print(f"Held back by a requirement: {name}, {versions}. {_notices(name)}")
    return 0


def vulnerabilities() -> int:
    """Print each known vulnerability, and how many packages could not be looked up. pip-audit passes those."""
    try:
        found: list[dict[str, Any]] = json.loads(
            _run(*AUDIT, "--requirement", str(LOCK), codes=(0, 1))
        )["dependencies"]
    except (CantAsk, ValueError, KeyError):
        print("NOT CHECKED for known vulnerabilities: pip-audit gave no answer.")
        return UNKNOWN
    known = [
        (row["name"], each["id"]) for row in found for each in row.get("vulns", [])
    ]
    for name, number in known:
        print(f"Vulnerable: {name}, {number}.")
    unchecked = sum("vulns" not in row for row in found)
    if unchecked or not found:
        print(
            f"NOT CHECKED for known vulnerabilities: {unchecked} of {len(found)} packages."
        )
    elif not known:
        print("No known vulnerability.")
    if known:
        return BEHIND
    return UNKNOWN if unchecked or not found else 0


def pinned(lock: str) -> Versions:
    """The versions of each package of a lock file, by its name in lower case: several, if they depend on the Python."""
    versions: Versions = {}
    for name, version in re.findall(
        r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.!+]+)", lock, re.MULTILINE
    ):
        versions.setdefault(name.lower(), set()).add(version)
    return versions


def behind_in(newest: Versions, locked: Versions) -> dict[str, str]:
    """What differs, for each package: "1.0 is locked, 1.1 is out"."""
    return {
        name: f"{', '.join(sorted(versions))} is locked, {', '.join(sorted(newest[name]))} is out"
        for name, versions in locked.items()
        if name in newest and not newest[name] <= versions
    }


def _notices(name: str) -> str:
    """Where its notices are, as the installed package says; "" if it isn't installed, or says nothing."""
    try:
        links = metadata.metadata(name).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    wanted = [
        link.partition(", ")[2]
        for link in links
        if re.match("change|release|history|news", link, re.IGNORECASE)
    ]
    return f"Its notices: {wanted[0]}" if wanted else ""


def _run(*command: str, given: str = "", codes: tuple[int, ...] = (0,)) -> str:
    run = subprocess.run(
        command, cwd=ROOT, input=given, capture_output=True, text=True, check=False
    )
    if run.returncode not in codes:
        raise CantAsk
    return run.stdout


if __name__ == "__main__":
    sys.exit(main())
