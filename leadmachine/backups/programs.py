"""PostgreSQL's own programs for dumps: those in the PATH, or those of the package that `make run` installs."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
from django.db import connection

from leadmachine.backups.contents import BackupFailed
from postgresql import own_server


def dump(to: Path, *, snapshot: str) -> None:
    """Dump what this exported snapshot of the database shows. Raises BackupFailed."""
    words = ("--format=custom", f"--snapshot={snapshot}", f"--file={to}")
    _run("pg_dump", *words, "--dbname", _server().dsn)


def restore(dump: Path) -> None:
    """Restore the dump into an empty database: all of it or nothing. Raises BackupFailed."""
    _run("pg_restore", "--single-transaction", "--dbname", _server().dsn, str(dump))


def server_version() -> int:
    """Return the major version of the server."""
    return _server().server_version // 10_000


def _run(name: str, *words: str) -> None:
    command = [_program(name), "--no-owner", "--no-privileges", *words]
    # Anyone on the machine can read the arguments of a process, but not its environment.
    environment = {
        **os.environ, "LC_ALL": "C", "PGPASSWORD": _server().password,
    }  # fmt: skip
    done = subprocess.run(  # noqa: S603 - our own words
        command, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise BackupFailed(f"{name} failed: {done.stderr.strip()}")


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
