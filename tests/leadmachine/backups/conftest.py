"""A company with everything that a backup has to hold."""

import io
from pathlib import Path

import pytest
from django.core.management import call_command

from capi.models import Connection
from crm.models import Attachment, Company, Membership
from tests.conftest import make_lead
from tests.crm.files import make_file


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
