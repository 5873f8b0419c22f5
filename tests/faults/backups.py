"""Backups of the tests' database by `pg_dump`, restored by `pg_restore` as docs/operating.md says."""

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from postgresql import own_server
from tests.faults.servers import can_restart_database


def program(name: str) -> str:
    """The program of the server's own version: PostgreSQL reads no dump of a newer one."""
    if can_restart_database():
        return own_server.program(name)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} found")
    return found


def dump(url: str, to: Path) -> None:
    _run("pg_dump", "--format", "custom", "--file", str(to), "--dbname", _plain(url))


def restore(dump: Path, url: str, *options: str) -> None:
    """Restore the dump into this database, which is empty unless an option is `--clean`."""
    _run("pg_restore", "--no-owner", *options, "--dbname", _plain(url), str(dump))


def _run(name: str, *words: str) -> None:
    subprocess.run(
        [program(name), *words], check=True, capture_output=True, text=True, timeout=120
    )


def _plain(url: str) -> str:
    """The URL as PostgreSQL's programs read it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="postgresql"))
