"""PostgreSQL's own programs for dumps: those in the PATH, or those of the package that `make run` installs."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import Any, Final

import psycopg
from django.db import connection

from leadmachine.backups.contents import BackupFailed
from postgresql import own_server

# Its locks wait for a change of the schema that waits for ours.
LOCK_WAIT: Final = "--lock-wait-timeout=60s"


def dump(to: Path, *, snapshot: str) -> None:
    """Dump what this exported snapshot of the database shows. Raises BackupFailed."""
    words = ("--format=custom", f"--snapshot={snapshot}", LOCK_WAIT)
    with to.open("wb") as file, _run("pg_dump", *words, stdout=PIPE) as process:
        shutil.copyfileobj(process.stdout, file)


def restore(dump: Path) -> None:
    """Restore the dump into an empty database: all of it or nothing. Raises BackupFailed."""
    with (
        dump.open("rb") as file,
        _run("pg_restore", "--single-transaction", stdin=PIPE) as process,
        suppress(BrokenPipeError),  # it says itself why it read no more
        process.stdin as pipe,
    ):
        shutil.copyfileobj(file, pipe)


def server_version() -> int:
    """Return the major version of the server."""
    return _server().server_version // 10_000


@contextmanager
def _run(name: str, *words: str, **pipe: Any) -> Iterator[Any]:
    """Within this block, the program runs. Through a pipe, so that it ends if this process is killed.

    Raises BackupFailed if it fails.
    """
    command = [
        _program(name), "--no-owner", "--no-privileges", *words, "--dbname", _server().dsn,
    ]  # fmt: skip
    # Anyone on the machine can read the arguments of a process, but not its environment.
    environment = {
        **os.environ, "LC_ALL": "C", "PGPASSWORD": _server().password,
    }  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(  # noqa: S603 - our own words
            command, env=environment, stderr=errors, **pipe
        ) as process:
            yield process
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise BackupFailed(f"{name} failed: {said}")


def _server() -> psycopg.ConnectionInfo:
    """The server that Django is connected to. Its `dsn` has no password."""
    connection.ensure_connection()
    info: psycopg.ConnectionInfo = connection.connection.info
    return info


def _program(name: str) -> str:
    """The path of a program that knows the version of the server. Raises BackupFailed."""
    needed = server_version()
    found = []
    for path in _candidates(name):
        version = _version(path)
        if version >= needed:
            return path
        found.append(f"{path} is version {version}")
    raise BackupFailed(
        f"{name} {needed} or newer is needed, because the server is PostgreSQL {needed} "
        f"({'; '.join(found) or f'there is no {name}'}). Put it in the PATH: on Debian, install "
        f"postgresql-client-{needed} from PostgreSQL's own repository."
    )


def _candidates(name: str) -> Iterator[str]:
    if path := shutil.which(name):
        yield path
    with suppress(own_server.CannotStart):
        yield own_server.program(name)


def _version(path: str) -> int:
    done = subprocess.run(  # noqa: S603
        [path, "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found[1]) if found else 0
