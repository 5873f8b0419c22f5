"""Restored are all rows and files as they were. What is not right is refused before anything is written."""

import gzip
import json
import logging
import secrets
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from capi.models import Connection
from capi.models.choices import Reason
from crm.models import Attachment, Company, Lead, privacy_log
from crm.models.crypto import fingerprint
from crm.models.file_storage import storage
from crm.services.erasure import erase_lead
from leadmachine.backups import contents, programs
from leadmachine.log_format import SafeFormatter
from tests.conftest import make_lead
from tests.crm.files import content_of, names_stored
from tests.leadmachine.backups.conftest import (
    restore,
    start,
    url,
    use_program,
    wait_for_end,
    wait_for_lock,
)

pytestmark = pytest.mark.django_db(transaction=True)

Elsewhere = Callable[[], Any]
# Which the restore pauses.
PAUSED = {"capi_connection"}


def wipe_files() -> None:
    shutil.rmtree(storage().location)  # type: ignore[attr-defined]


def contents_of_tables() -> dict[str, Any]:
    """The number and a checksum of the rows of each table."""
    found = {}
    with connection.cursor() as cursor:
        for table in set(connection.introspection.table_names(cursor)) - PAUSED:
            cursor.execute(
                f"SELECT count(*), md5(string_agg(row::text, chr(10) ORDER BY row::text)) FROM {table} AS row"
            )
            found[table] = cursor.fetchone()
    return found


def is_empty() -> bool:
    return not connection.introspection.table_names() and not names_stored()


def test_all_rows_and_files_are_back(
    file: Attachment, folder: Path, elsewhere: Elsewhere, request: Any
) -> None:
    before = contents_of_tables()
    backup = request.getfixturevalue("backup")
    wipe_files()

    with elsewhere():
        said = restore(backup)

        assert contents_of_tables() == before
        assert content_of(Attachment.objects.get()) == content_of(file)
        assert make_lead(Company.objects.get(pk=file.company_id)).pk > 1  # sequences
    assert "1 files." in said


def test_sending_is_paused_at_once(backup: Path, elsewhere: Elsewhere) -> None:
    with elsewhere():
        said = restore(backup)

        assert Connection.objects.get().paused_reason == Reason.ALL_PAUSED
    assert "manage.py resume_sending" in said


def test_files_that_are_still_there_stay_and_half_ones_are_stored_again(
    backup: Path, file: Attachment, elsewhere: Elsewhere
) -> None:
    Path(storage().path(file.stored_as)).write_bytes(b"%P")

    with elsewhere():
        restore(backup)

        assert content_of(file) == content_of(Attachment.objects.get())
    assert len(content_of(file)) == file.size
    assert names_stored() == {file.stored_as}


def test_over_data_it_is_refused(backup: Path, file: Attachment) -> None:
    before = contents_of_tables()

    with pytest.raises(CommandError, match=r"is not empty, so nothing was changed"):
        restore(backup)

    assert contents_of_tables() == before


@pytest.mark.parametrize("part", [*contents.PARTS, contents.CHECKSUMS])
@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_a_backup_that_is_damaged_is_refused(
    backup: Path, elsewhere: Elsewhere, part: str, damage: str
) -> None:
    wipe_files()
    whole = (backup / part).read_bytes()
    middle = len(whole) // 2
    if damage == "altered":
        changed = bytes([whole[middle] ^ 1])
        (backup / part).write_bytes(whole[:middle] + changed + whole[middle + 1 :])
    elif damage == "truncated":
        (backup / part).write_bytes(whole[:middle])
    else:
        (backup / part).unlink()

    with elsewhere():
        with pytest.raises(CommandError, match=r"Restore another|no complete backup"):
            restore(backup)

        assert is_empty()


def change_manifest(backup: Path, **values: Any) -> None:
    """Let the backup say something else about itself, with the right checksums."""
    path = backup / contents.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    contents.seal(backup)


@pytest.mark.parametrize(
    "values", [{"migrations": ["crm.9999_next"]}, {"format": 2}], ids=str
)
def test_a_backup_of_a_newer_version_is_refused(
    backup: Path, elsewhere: Elsewhere, values: dict[str, Any]
) -> None:
    wipe_files()
    change_manifest(backup, version="9.0.0", **values)

    with elsewhere():
        with pytest.raises(CommandError, match=r"by LeadMachine 9\.0\.0"):
            restore(backup)

        assert is_empty()


@pytest.mark.parametrize(
    "values",
    [{"rows": [1]}, {"rows": {"crm_lead": {"1": "x"}}}, {"made_at": 5}, {"keys": None}],
    ids=str,
)
def test_a_manifest_of_other_types_is_refused(
    backup: Path, elsewhere: Elsewhere, values: dict[str, Any]
) -> None:
    wipe_files()
    change_manifest(backup, **values)

    with elsewhere():
        with pytest.raises(CommandError, match="not as LeadMachine writes it"):
            restore(backup)

        assert is_empty()


@pytest.mark.parametrize("text", ["[]", "{", "{}", '{"format": 2}'])
def test_what_is_no_manifest_is_refused(
    backup: Path, elsewhere: Elsewhere, text: str
) -> None:
    (backup / contents.MANIFEST).write_text(text)
    contents.seal(backup)

    with (
        elsewhere(),
        pytest.raises(CommandError, match="not as LeadMachine writes it"),
    ):
        restore(backup)


def archive_of(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.type = kind
    end = b"\0" * 1024
    return member.tobuf() + end


@pytest.mark.parametrize(
    "archive",
    [b"", b"garbage" * 500, archive_of("../x"), archive_of("x", tarfile.FIFOTYPE)],
    ids=["empty", "garbage", "outside", "no file"],
)
def test_an_archive_of_something_else_is_refused(
    backup: Path, elsewhere: Elsewhere, archive: bytes
) -> None:
    wipe_files()
    (backup / contents.FILES).write_bytes(archive)
    contents.seal(backup)

    with elsewhere():
        with pytest.raises(CommandError, match=r"LeadMachine writes it|is no file"):
            restore(backup)

        assert is_empty()


def test_a_privacy_log_that_is_compressed_is_refused(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    log = tmp_path / "privacy.log.gz"
    log.write_bytes(gzip.compress(b"a line of the log\n"))
    wipe_files()

    with elsewhere():
        with pytest.raises(CommandError, match="this log is not text"):
            restore(backup, "--privacy-log", str(log))

        assert is_empty()


def test_other_rows_than_those_of_the_backup_are_reported(
    backup: Path, company: Company, elsewhere: Elsewhere
) -> None:
    rows = json.loads((backup / contents.MANIFEST).read_text())["rows"]
    rows["crm_lead"] = {str(company.pk): 2}
    change_manifest(backup, rows=rows)

    with elsewhere(), pytest.raises(CommandError) as refused:
        restore(backup)

    assert f"crm_lead of company {company.pk}: 2 rows, now 1" in str(refused.value)


def test_a_dump_that_fails_half_way_leaves_the_database_empty(
    backup: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = backup / contents.DUMP
    dump.write_bytes(dump.read_bytes()[:-2000])
    contents.seal(backup)

    with elsewhere():
        with pytest.raises(CommandError, match="pg_restore failed"):
            restore(backup)

        assert connection.introspection.table_names() == []


def test_killed_in_the_middle_it_leaves_the_database_empty(
    folder: Path, elsewhere: Elsewhere
) -> None:
    """More than fits into a pipe is left to restore."""
    Session.objects.create(
        session_key="long",
        session_data=secrets.token_hex(1_000_000),
        expire_date=timezone.now(),
    )
    call_command("backup", folder)
    [backup] = folder.iterdir()

    with elsewhere():
        with psycopg.connect(url()) as locker:
            locker.execute("CREATE TABLE crm_lead ()")
            process = start("restore", str(backup), "--without-privacy-log")
            wait_for_lock("CREATE TABLE", of="pg_restore")
            process.kill()
            process.wait(30)
            locker.rollback()
        wait_for_end("pg_restore")

        assert connection.introspection.table_names() == []


def test_other_keys_are_named_with_the_companies_that_need_them(
    backup: Path, company: Company, elsewhere: Elsewhere, settings: Any
) -> None:
    [before], after = settings.TOKEN_KEYS[:1], Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [after]

    with elsewhere():
        said = restore(backup)

    assert f"those of the backup were {fingerprint(before)}" in said
    assert f"LEADMACHINE_TOKEN_KEYS has {fingerprint(after)}" in said
    assert f"access tokens of {company.slug} (company {company.pk})" in said


def test_with_the_same_keys_nothing_is_said_of_them(
    backup: Path, elsewhere: Elsewhere
) -> None:
    with elsewhere():
        assert "keys" not in restore(backup)


def test_what_the_privacy_log_says_is_repeated(
    backup: Path,
    file: Attachment,
    company: Company,
    elsewhere: Elsewhere,
    caplog: Any,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.INFO, privacy_log.logger.name)
    erase_lead(lead=Lead.objects.get())
    formatter = SafeFormatter("{asctime} {levelname} {name}: {message}", style="{")
    log = tmp_path / "privacy.log"
    log.write_text("\n".join(map(formatter.format, caplog.records)))

    with elsewhere():
        said = restore(backup, "--privacy-log", str(log))

        assert Lead.objects.get().erased_at
        assert not Attachment.objects.exists()
    assert names_stored() == set()
    assert "people erased" in said


@pytest.mark.parametrize("words", [(), ("--privacy-log", "missing")], ids=str)
def test_the_privacy_log_is_not_forgotten(
    backup: Path, elsewhere: Elsewhere, words: tuple[str, ...]
) -> None:
    wipe_files()

    with elsewhere():
        with pytest.raises(CommandError, match=r"privacy-log|Nothing was restored"):
            call_command("restore", str(backup), *words)

        assert is_empty()


def test_a_log_that_is_cut_off_is_refused_before_anything_is_written(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    wipe_files()
    log = tmp_path / "privacy.log"
    log.write_text(
        "2026-12-03 INFO crm.models.privacy_log: Privacy log: 2 opted-out le"
    )

    with elsewhere():
        with pytest.raises(CommandError, match="is not complete"):
            restore(backup, "--privacy-log", str(log))

        assert is_empty()


def test_the_password_of_the_database_is_in_no_argument_of_a_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Server:
        dsn, password, server_version = "dbname=crm", "secret", 180000

    monkeypatch.setattr(programs, "_server", Server)
    said = tmp_path / "said"
    use_program(monkeypatch, tmp_path, f'echo "$@; $PGPASSWORD" > {said}')
    dump = tmp_path / contents.DUMP
    dump.touch()

    programs.restore(dump)

    arguments, password = said.read_text().split("; ")
    assert "secret" not in arguments
    assert password == "secret\n"
