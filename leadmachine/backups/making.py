"""Makes a backup."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.recorder import MigrationRecorder
from psycopg.sql import SQL, Identifier

from capi.models import BACKUP, Heartbeat
from crm.models.crypto import fingerprints
from leadmachine.backups import programs, row_counts, stored_files
from leadmachine.backups.contents import (
    DUMP,
    FILES,
    BackupFailed,
    seal,
    write_to_disk,
)
from leadmachine.backups.manifest import Manifest
from leadmachine.version import VERSION


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The database at one moment, for as long as the transaction is open that exported it under this name."""

    name: str
    taken_at: datetime


def make(folder: Path) -> tuple[Path, Manifest]:
    """Make a backup in this folder, which gets its name once it is complete. Raises BackupFailed."""
    if not folder.is_dir():
        raise BackupFailed(
            f"There is no folder {folder}. Create it, and close it to others."
        )
    try:
        with _snapshot() as snapshot:
            backup, manifest = _make(folder, snapshot)
    except OSError as error:
        raise BackupFailed(f"It can't be written: {error}.") from error
    Heartbeat.objects.beat(BACKUP)
    return backup, manifest


def _make(folder: Path, snapshot: Snapshot) -> tuple[Path, Manifest]:
    backup = folder / f"leadmachine-{snapshot.taken_at:%Y-%m-%dT%H-%M-%SZ}"
    unfinished = backup.with_suffix(".unfinished")
    if backup.exists() or unfinished.exists():
        raise BackupFailed(
            f"There is a backup of this second: {backup.name}. Wait a little."
        )
    # Only its owner may enter: it holds everything about all people.
    unfinished.mkdir(mode=0o700)
    try:
        manifest = _write(unfinished, snapshot)
        unfinished.rename(backup)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    write_to_disk(folder)
    return backup, manifest


@contextmanager
def _snapshot() -> Iterator[Snapshot]:
    """What all reads of this transaction show, and pg_dump, too, whatever is written meanwhile."""
    # Before the transaction, whose first query takes the snapshot.
    tables = connection.introspection.table_names()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # It waits for pg_dump, which may take hours.
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        _keep_as_they_are(tables, cursor)
        cursor.execute("SELECT pg_export_snapshot(), now()")
        name, taken_at = cursor.fetchone()
        yield Snapshot(name, taken_at.astimezone(UTC))


def _keep_as_they_are(tables: list[str], cursor: CursorWrapper) -> None:
    """Lock the tables against being altered, but not against writes. Waits for a migration that is running.

    A table that is written anew after the snapshot was taken is empty in it.
    """
    if tables:
        names = SQL(", ").join(map(Identifier, tables))
        lock = SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names)
        cursor.execute(lock.as_string())


def _write(backup: Path, snapshot: Snapshot) -> Manifest:
    applied = MigrationRecorder(connection).applied_migrations()
    if not applied:
        raise BackupFailed(
            f"The database {connection.settings_dict['NAME']} has no tables of LeadMachine. Is DATABASE_URL right?"
        )
    programs.dump(backup / DUMP, snapshot=snapshot.name)
    files, missing_files = stored_files.archive(backup / FILES)
    if missing_files and not files:
        raise BackupFailed(
            f"The storage has none of the {missing_files:,} files of leads, deals and notes. Is it the right one, and "
            "is its disk mounted?"
        )
    manifest = Manifest(
        version=VERSION,
        migrations=[f"{app}.{name}" for app, name in applied],
        made_at=snapshot.taken_at,
        postgresql=programs.server_version(),
        keys=fingerprints(),
        files=files,
        missing_files=missing_files,
        rows=row_counts.by_company(),
    )
    manifest.write(backup)
    seal(backup)
    return manifest
