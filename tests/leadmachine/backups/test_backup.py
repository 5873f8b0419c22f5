"""A backup is complete or not there, and shows one moment."""

import errno
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.conf import settings as product
from django.core.management import CommandError, call_command
from django.db import connection, connections

from capi.models import BACKUP, Heartbeat
from crm.models import Attachment, Company, Lead, Membership, file_storage
from crm.models.crypto import fingerprints
from leadmachine.backups import making, programs
from leadmachine.backups.contents import DUMP, BackupFailed
from leadmachine.backups.manifest import Manifest
from leadmachine.version import VERSION
from tests.conftest import make_lead
from tests.crm.files import AWAY, make_file
from tests.leadmachine.backups.conftest import (
    restore,
    start,
    url,
    use_program,
    wait_for_end,
    wait_for_lock,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_has_the_dump_the_files_and_what_it_says_about_itself(
    backup: Path, company: Company
) -> None:
    said = json.loads((backup / "manifest.json").read_text())

    assert {path.name for path in backup.iterdir()} == {
        "database.dump", "files.tar", "manifest.json", "SHA256SUMS",
    }  # fmt: skip
    assert (said["version"], said["files"], said["missing_files"]) == (VERSION, 1, 0)
    assert said["keys"] == fingerprints()
    assert said["rows"]["crm_lead"] == {str(company.pk): 1}
    assert product.TOKEN_KEYS[0] not in (backup / "manifest.json").read_text()
    assert product.SECRET_KEY not in (backup / "manifest.json").read_text()


def test_its_checksums_are_in_the_form_that_other_tools_read(backup: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=backup, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0
    assert done.stdout.count(": OK") == 3


def test_no_one_else_on_the_machine_can_read_it(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o700


def test_it_is_recorded_when_it_was_made(backup: Path) -> None:
    assert Heartbeat.objects.last_of(BACKUP) is not None


def test_what_is_written_meanwhile_is_not_in_it(
    company: Company,
    sales: Membership,
    file: Attachment,
    folder: Path,
    elsewhere: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write() -> None:
        make_file(sales, make_lead(company))
        connections.close_all()

    def write_in_another_session() -> None:
        thread = Thread(target=write)
        thread.start()
        thread.join()

    def dump(*args: Any, **options: Any) -> None:
        write_in_another_session()
        programs_dump(*args, **options)
        write_in_another_session()

    programs_dump = programs.dump
    monkeypatch.setattr(programs, "dump", dump)
    made, manifest = making.make(folder)
    assert Lead.objects.count() == 3

    with elsewhere():
        restore(made)

        assert Lead.objects.count() == 1
        assert Attachment.objects.get().stored_as == file.stored_as
    assert manifest.files == 1


def test_a_file_that_the_storage_has_lost_is_counted_and_logged(
    sales: Membership, file: Attachment, folder: Path, capsys: Any, caplog: Any
) -> None:
    make_file(sales, Lead.objects.get())
    file_storage.delete(file.stored_as)

    call_command("backup", folder)

    assert "Files that are not in it: 1." in capsys.readouterr().out
    assert f"no file {file.stored_as}" in caplog.text


def test_with_a_storage_that_has_none_of_the_files_there_is_no_backup(
    file: Attachment, folder: Path
) -> None:
    file_storage.delete(file.stored_as)

    with pytest.raises(CommandError, match="has none of the 1 files"):
        call_command("backup", folder)

    assert list(folder.iterdir()) == []
    assert Heartbeat.objects.last_of(BACKUP) is None


def test_two_of_one_second_are_said(company: Company, folder: Path) -> None:
    with making._snapshot() as snapshot:
        made, _ = making._make(folder, snapshot)
        with pytest.raises(BackupFailed, match="of this second"):
            making._make(folder, snapshot)

    assert list(folder.iterdir()) == [made]


def test_without_the_storage_there_is_no_backup(
    file: Attachment, folder: Path, settings: Any
) -> None:
    settings.STORAGES = {**settings.STORAGES, "attachments": {"BACKEND": AWAY}}

    with pytest.raises(CommandError, match=r"No backup was made\. File .* can't be read"):  # fmt: skip
        call_command("backup", folder)

    assert list(folder.iterdir()) == []
    assert Heartbeat.objects.last_of(BACKUP) is None


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A disk that is not mounted must not fill the one below it."""
    with pytest.raises(CommandError, match="There is no folder"):
        call_command("backup", tmp_path / "missing")


def test_an_empty_database_has_no_backup(
    folder: Path, elsewhere: Callable[[], Any]
) -> None:
    with elsewhere(), pytest.raises(CommandError, match="has no tables of LeadMachine"):
        call_command("backup", folder)

    assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_says_why(
    file: Attachment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Manifest, "write", refuse)

    with pytest.raises(CommandError, match=r"can't be written: .*No space left"):
        call_command("backup", folder)

    assert list(folder.iterdir()) == []


def test_a_dump_that_fails_leaves_nothing_and_says_why(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_program(monkeypatch, tmp_path, "exec >&2; echo 'pg_dump: it broke'; exit 1")

    with pytest.raises(CommandError, match=r"pg_dump failed: pg_dump: it broke"):
        call_command("backup", folder)

    assert list(folder.iterdir()) == []


def test_a_table_that_is_rewritten_meanwhile_is_in_it(
    company: Company, folder: Path
) -> None:
    """Snapshots from before its end would show it without rows."""
    make_lead(company)
    rewrite = "ALTER TABLE crm_lead ALTER updated_at TYPE timestamptz USING updated_at + interval '0'"
    with psycopg.connect(url()) as migration:
        migration.execute(rewrite)
        process = start("backup", str(folder))
        wait_for_lock("LOCK TABLE")
    assert process.wait(60) == 0

    [made] = folder.iterdir()
    rows = json.loads((made / "manifest.json").read_text())["rows"]
    assert rows["crm_lead"] == {str(company.pk): 1}


@pytest.fixture
def aside() -> Iterator[str]:
    """A table that pg_dump locks and the backup does not."""
    with psycopg.connect(url(), autocommit=True) as database:
        database.execute("CREATE SCHEMA aside CREATE TABLE locked ()")
        yield "aside.locked"
        database.execute("DROP SCHEMA aside CASCADE")


def test_killed_in_the_middle_it_leaves_no_backup_and_pg_dump_ends(
    folder: Path, aside: str
) -> None:
    with psycopg.connect(url()) as locker:
        locker.execute(f"LOCK TABLE {aside} IN ACCESS EXCLUSIVE MODE")
        process = start("backup", str(folder))
        wait_for_lock("LOCK TABLE", of="pg_dump")
        process.kill()
        process.wait(30)
    wait_for_end("pg_dump")

    [left] = folder.iterdir()
    assert left.suffix == ".unfinished"
    assert (left / DUMP).stat().st_size == 0
    with pytest.raises(CommandError, match="is no complete backup"):
        restore(left)


def test_a_pg_dump_that_is_too_old_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = use_program(monkeypatch, tmp_path, "", version=15)

    with pytest.raises(CommandError) as refused:
        call_command("backup", folder)

    version = connection.pg_version // 10_000
    assert f"pg_dump {version} or newer is needed" in str(refused.value)
    assert f"{old} is version 15" in str(refused.value)
    assert f"postgresql-client-{version}" in str(refused.value)
