"""The files of a release: `python -m scripts.release [FOLDER]`, or `make release`. docs/releasing.md has all steps.

Writes into the folder (dist/) the sources, the bill of materials, the changes and the checksums of these. Says what
is missing, and writes nothing, if this is no state to release. Uploads and signs nothing.
"""

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from leadmachine.version import VERSION
from scripts import licences, sbom

ROOT: Final = Path(__file__).resolve().parents[1]
NAME: Final = f"leadmachine-{VERSION}"
CHECKSUMS: Final = "SHA256SUMS"


def main(folder: Path) -> int:
    missing = [*problems()]
    if missing:
        print("\n".join([f"{VERSION} can't be released yet:", *missing]))
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    written = [sources(folder), bill(folder), changes(folder)]
    written.append(checksums(folder, written))
    print("\n".join(f"{path.relative_to(folder.parent)}" for path in written))
    print("Next: sign them, tag the commit, and upload (docs/releasing.md).")
    return 0


def problems() -> Iterator[str]:
    """Yield what has to be done first, a sentence each."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", VERSION):
        yield f"- pyproject.toml: {VERSION} is no version such as 1.2.3."
    if _git("status", "--porcelain"):
        yield "- Commit your changes: the files of a release are those of a commit."
    if _git("tag", "--list", tag()):
        yield f"- The tag {tag()} exists: set a higher version in pyproject.toml."
    if not changes_of(VERSION):
        yield (
            f"- CHANGELOG.md: name the changes “## [{VERSION}] - YEAR-MONTH-DAY”, with the date of the release, and "
            "begin a new section “## [Unreleased]” above."
        )
    if not (ROOT / "tests" / "upgrades" / f"{VERSION}.sql.gz").is_file():
        yield f"- Keep a dump for later upgrades: python -m tests.upgrades.databases {VERSION}"


def tag() -> str:
    return f"v{VERSION}"


def changes_of(version: str) -> str:
    """Return the changes of this version in CHANGELOG.md, "" if there is no section with its date."""
    section = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)",
        (ROOT / "CHANGELOG.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return section[1].strip() if section else ""


def sources(folder: Path) -> Path:
    """Write all files of the commit, lock files included. The same commit gives the same bytes."""
    path = folder / f"{NAME}.tar.gz"
    archive = subprocess.run(
        ["git", "archive", "--format=tar", f"--prefix={NAME}/", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    path.write_bytes(gzip.compress(archive.stdout, mtime=0))
    return path


def bill(folder: Path) -> Path:
    path = folder / f"{NAME}.cdx.json"
    path.write_text(f"{json.dumps(sbom.bill_of(licences.locks()), indent=2)}\n")
    return path


def changes(folder: Path) -> Path:
    path = folder / f"{NAME}.md"
    path.write_text(f"{changes_of(VERSION)}\n")
    return path


def checksums(folder: Path, paths: list[Path]) -> Path:
    """Write what `sha256sum --check` reads."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in paths
    ]
    path = folder / CHECKSUMS
    path.write_text("".join(lines))
    return path


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").resolve()))
