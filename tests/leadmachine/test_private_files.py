"""What is kept in var/ is its owner's alone, whatever the umask is and whatever was there before."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from leadmachine.environment import VAR_DIR, private_file, private_folder

OPEN_A_DATABASE = """
import django
django.setup()
from django.db import connection
connection.cursor().execute("CREATE TABLE leads (name)")
"""


@pytest.fixture(autouse=True)
def _careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_enter_the_folder() -> None:
    assert mode(VAR_DIR) == 0o700


@pytest.mark.parametrize("was_there", [True, False])
def test_a_folder_is_closed_even_if_it_was_open(tmp_path: Path, was_there: bool) -> None:
    folder = tmp_path / "var"
    if was_there:
        folder.mkdir(mode=0o777)

    private_folder(folder)

    assert mode(folder) == 0o700


def test_a_folder_that_cant_be_made_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert private_folder(tmp_path / "file" / "var") == tmp_path / "file" / "var"


def test_a_file_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "leadmachine.sqlite3"

    private_file(path).write_text("leads")
    private_file(path)

    assert (mode(path), path.read_text()) == (0o600, "leads")


def test_sqlite_writes_leads_where_nobody_else_reads_them(tmp_path: Path) -> None:
    database = tmp_path / "data" / "leadmachine.sqlite3"
    names = {"DJANGO_SETTINGS_MODULE": "leadmachine.settings", "DATABASE_URL": f"sqlite:///{database}", "DEBUG": "1"}

    subprocess.run([sys.executable, "-c", OPEN_A_DATABASE], cwd=settings.BASE_DIR, env=names, check=True)

    written = list(database.parent.iterdir())
    assert database in written
    assert [path.name for path in written if mode(path) != 0o600] == []
