"""A company with everything that a backup has to hold."""

import io
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from capi.models import Connection
from crm.models import Attachment, Company, Membership
from leadmachine.backups import programs
from tests.conftest import make_lead
from tests.crm.files import make_file
from tests.faults.processes import wait_for


@pytest.fixture
def file(company: Company, sales: Membership, token: Connection) -> Attachment:
    return make_file(sales, make_lead(company))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


@pytest.fixture
def backup(file: Attachment, folder: Path) -> Path:
    """A backup of a company with a token, and a lead with a file."""
    call_command("backup", folder, stdout=io.StringIO())
    [made] = folder.iterdir()
    return made


def restore(backup: Path, *words: str) -> str:
    """Restore it, and return what the command says."""
    said = io.StringIO()
    words = words or ("--without-privacy-log",)
    call_command("restore", str(backup), *words, stdout=said)
    return said.getvalue()


def url() -> str:
    """The address of the database that Django uses."""
    name = connection.settings_dict["NAME"]
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def start(*words: str) -> "subprocess.Popen[bytes]":
    """Start this command on the database that Django uses."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *words], cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": url(), "LEADMACHINE_MAKE_RUN": "0"},
    )  # fmt: skip


def wait_for_lock(statement: str, *, of: str = "%") -> None:
    """Wait until this statement of this program waits for another session."""
    waiting = "wait_event_type = 'Lock' AND query LIKE %s AND application_name LIKE %s"
    wait_for(
        lambda: _sessions(waiting, f"%{statement}%", of),
        seconds=60,
        told=f"{statement} waits",
    )


def wait_for_end(program: str) -> None:
    """Wait until no session of this program is left."""
    wait_for(
        lambda: not _sessions("application_name = %s", program),
        seconds=60,
        told=f"{program} ends",
    )


def _sessions(condition: str, *values: str) -> int:
    """Return how many other sessions of the database are like this."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            f"WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}",
            values,
        )
        return int(cursor.fetchone()[0])


def use_program(
    monkeypatch: pytest.MonkeyPatch, folder: Path, does: str, *, version: int = 99
) -> Path:
    """Run this instead of PostgreSQL's programs, as one of this version. Returns its path."""
    program = folder / "program"
    program.write_text(
        "#!/bin/sh\n"
        f"[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) {version}.20' && exit\n"
        f"{does}\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(programs, "_candidates", lambda name: iter([str(program)]))
    return program
