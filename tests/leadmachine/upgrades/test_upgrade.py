"""An upgrade wants a fresh backup, and its rehearsal changes a copy alone."""

import gzip
import io
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from capi.models import BACKUP, REHEARSAL, Heartbeat
from crm.models import Attachment, Company
from crm.models.file_storage import storage
from leadmachine.upgrades import rehearsing
from tests.leadmachine.backups.conftest import start
from tests.upgrades.databases import DUMPS, restore

pytestmark = pytest.mark.django_db(transaction=True)

OLDEST = DUMPS / "0.1.0.sql.gz"
NEWEST_MIGRATION = "0004_imported_objects"


@pytest.fixture
def release(elsewhere: Callable[[], Any]) -> Iterator[None]:
    """Django uses the database of the first release, with data."""
    with elsewhere():
        name = connection.settings_dict["NAME"]
        server = urlsplit(os.environ["DATABASE_URL"])
        url = urlunsplit(server._replace(path=f"/{name}"))
        restore(url, gzip.decompress(OLDEST.read_bytes()))
        store_a_file()
        yield


def store_a_file() -> None:
    """A storage without any file of the rows is a wrong one."""
    names = Attachment.objects.values_list("stored_as", flat=True)
    storage().save(names[0], ContentFile(b"%PDF"))


@pytest.fixture
def backup(release: None, tmp_path: Path) -> Path:
    call_command("backup", tmp_path, stdout=io.StringIO())
    [made] = tmp_path.iterdir()
    return made


def upgrade(*words: str) -> str:
    """Run the command, and return what it says."""
    said = io.StringIO()
    call_command("upgrade", *words, stdout=said)
    return said.getvalue()


def applied() -> set[str]:
    """The names of our migrations that the database has."""
    recorder = MigrationRecorder(connection)
    return {name for app, name in recorder.applied_migrations() if app == "crm"}


def databases() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


def copy_of_it() -> str:
    return f"{connection.settings_dict['NAME']}_rehearsal"


def test_with_a_fresh_backup_the_database_is_migrated(backup: Path) -> None:
    assert "Applying crm.0004_imported_objects" in upgrade()

    assert NEWEST_MIGRATION in applied()
    assert upgrade() == "The database is up to date.\n"


def test_the_database_of_a_newer_version_is_refused(release: None) -> None:
    upgrade("--without-backup")
    MigrationRecorder(connection).record_applied("crm", "9999_future")

    with pytest.raises(CommandError, match=r"does not have \(crm\.9999_future\)"):
        upgrade()


def test_two_at_once_wait_for_each_other(
    release: None, capfd: pytest.CaptureFixture[str]
) -> None:
    both = [start("upgrade", "--without-backup") for _ in range(2)]

    assert [process.wait(120) for process in both] == [0, 0]

    assert NEWEST_MIGRATION in applied()
    said = capfd.readouterr().out
    assert said.count("Applying crm.0004_imported_objects") == 1


@pytest.mark.parametrize("age", [None, timedelta(minutes=61)], ids=["none", "old"])
def test_without_a_fresh_backup_nothing_is_changed(
    release: None, age: timedelta | None
) -> None:
    Heartbeat.objects.filter(name=BACKUP).delete()
    if age:
        Heartbeat.objects.create(name=BACKUP, beat_at=timezone.now() - age)

    with pytest.raises(CommandError, match=r"so nothing was changed\. Make one"):
        upgrade()

    assert NEWEST_MIGRATION not in applied()


def test_the_backup_can_be_one_of_another_kind(release: None) -> None:
    upgrade("--without-backup")

    assert NEWEST_MIGRATION in applied()


def test_an_empty_database_needs_no_backup(elsewhere: Callable[[], Any]) -> None:
    with elsewhere():
        upgrade()

        assert NEWEST_MIGRATION in applied()


def test_a_rehearsal_says_what_takes_how_long_and_locks_what(backup: Path) -> None:
    said = upgrade("--rehearse", str(backup))

    assert "crm.0004_imported_objects" in said
    assert "crm_leadimport: reads and writes wait for" in said
    assert "All rows and values are as before." in said
    assert Heartbeat.objects.last_of(REHEARSAL)


def test_a_rehearsal_leaves_the_database_as_it_is_and_no_copy(backup: Path) -> None:
    before = applied()

    upgrade("--rehearse", str(backup))

    assert applied() == before
    assert copy_of_it() not in databases()


def test_what_a_migration_changes_is_said(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def migrate(*args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE crm_lead SET title = title || '!'")
            cursor.execute("ALTER TABLE crm_lead DROP COLUMN phone CASCADE")
            cursor.execute("DELETE FROM crm_task")

    monkeypatch.setattr(rehearsing, "call_command", migrate)
    differences = rehearsing.rehearse(backup).differences

    companies = Company.objects.count()
    assert f"crm_lead.title has other values (companies: {companies})" in differences
    assert "crm_lead.phone is removed" in differences
    assert any(line.startswith("crm_task of company") for line in differences)
    assert not any("crm_note." in line for line in differences)


def test_a_migration_that_fails_is_said_and_the_copy_is_removed(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def migrate(*args: Any, **options: Any) -> None:
        raise CommandError("Two accounts have one address.")

    monkeypatch.setattr(rehearsing, "call_command", migrate)

    with pytest.raises(CommandError, match="Two accounts"):
        upgrade("--rehearse", str(backup))

    assert copy_of_it() not in databases()
    assert Heartbeat.objects.last_of(REHEARSAL) is None


def test_a_database_of_the_copy_s_name_with_tables_is_left_alone(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = copy_of_it()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template1")
    try:
        with rehearsing.using(name), connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept ()")

        with pytest.raises(CommandError, match="is not empty"):
            upgrade("--rehearse", str(backup))

        assert name in databases()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_role_that_may_create_no_database_is_told_what_to_do(backup: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE weak NOLOGIN")
        cursor.execute("SET ROLE weak")
    try:
        with pytest.raises(CommandError, match=r"createdb --owner \w* ?processes_"):
            upgrade("--rehearse", str(backup))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP ROLE weak")


def test_an_empty_database_of_the_copy_s_name_is_used(backup: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {copy_of_it()}")

    upgrade("--rehearse", str(backup))

    assert copy_of_it() not in databases()


def test_what_a_killed_rehearsal_has_left_is_removed(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rehearsing, "_drop", lambda name: None)
        upgrade("--rehearse", str(backup))
    assert copy_of_it() in databases()

    assert "All rows and values are as before." in upgrade("--rehearse", str(backup))

    assert copy_of_it() not in databases()


def test_a_second_rehearsal_is_refused(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def migrate(*args: Any, **options: Any) -> None:
        with rehearsing.using(live), pytest.raises(CommandError, match="is running"):
            upgrade("--rehearse", str(backup))

    live = connection.settings_dict["NAME"]
    monkeypatch.setattr(rehearsing, "call_command", migrate)

    rehearsing.rehearse(backup)


def test_a_copy_that_cannot_be_removed_does_not_hide_why_it_failed(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def migrate(*args: Any, **options: Any) -> None:
        with rehearsing.using(live), connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {copy} WITH (FORCE)")
        raise CommandError("Two accounts have one address.")

    live, copy = connection.settings_dict["NAME"], copy_of_it()
    monkeypatch.setattr(rehearsing, "call_command", migrate)

    with pytest.raises(CommandError, match="Two accounts"):
        upgrade("--rehearse", str(backup))


def test_a_copy_that_a_pooler_does_not_know_is_said_and_removed(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(self: Any) -> None:
        if self.settings_dict["NAME"].endswith("_rehearsal"):
            raise OperationalError("no such database")
        ensure_connection(self)

    wrapper = type(connections["default"])
    ensure_connection = wrapper.ensure_connection
    monkeypatch.setattr(wrapper, "ensure_connection", connect)

    with pytest.raises(CommandError, match=r"no such database.*PgBouncer"):
        upgrade("--rehearse", str(backup))

    assert copy_of_it() not in databases()


def test_a_name_that_is_too_long_for_a_copy_is_said(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = databases()
    monkeypatch.setitem(connection.settings_dict, "NAME", "n" * 60)

    with pytest.raises(CommandError, match="longer than PostgreSQL allows"):
        upgrade("--rehearse", str(backup))

    monkeypatch.undo()
    assert databases() == before
