"""A company with everything that a backup has to hold, and an empty database to restore into."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connection

from capi.models import Connection
from crm.models import Attachment, Company, Membership
from tests.conftest import make_lead
from tests.crm.files import make_file
from tests.faults.installation import create_database, drop_database


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


@pytest.fixture
def elsewhere() -> Iterator[Callable[[], Any]]:
    """The context in which Django uses a database that is empty at first."""
    url = create_database()
    name = urlsplit(url).path.strip("/")

    @contextmanager
    def using_it() -> Iterator[None]:
        before = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = before

    yield using_it
    drop_database(url)


def restore(backup: Path, *words: str) -> str:
    """Restore it, and return what the command says."""
    said = io.StringIO()
    words = words or ("--without-privacy-log",)
    call_command("restore", str(backup), *words, stdout=said)
    return said.getvalue()
