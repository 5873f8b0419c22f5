"""Restores a backup into an empty database, where sending stays paused."""

from pathlib import Path

from django.core.management import call_command
from django.db import connection

from capi.delivery import pauses
from leadmachine import known_migrations
from leadmachine.backups import manifest, programs, row_counts, stored_files
from leadmachine.backups.contents import DUMP, FILES, BackupFailed, verify
from leadmachine.backups.manifest import Manifest


def restore(backup: Path) -> Manifest:
    """Restore a backup. Raises BackupFailed, before anything is written if the backup or the database is not right.

    If the storage or the dump fails, the database is still empty, and the same command continues.
    """
    made = _checked(backup)
    # First, so that no row names a file that is not there if this fails.
    stored_files.extract(backup / FILES)
    _restore_rows(backup, made)
    call_command("migrate", interactive=False, verbosity=0)
    # A restored database sends nothing anyway. This says so on all pages before the first worker does.
    pauses.pause_all()
    return made


def restore_copy(backup: Path) -> Manifest:
    """Restore the database alone, as it was: without files, and without the migrations since. Raises BackupFailed."""
    made = _checked(backup)
    _restore_rows(backup, made)
    return made


def _checked(backup: Path) -> Manifest:
    verify(backup)
    made = manifest.read(backup)
    _require_version(made)
    stored_files.check(backup / FILES)
    require_empty_database()
    return made


def _restore_rows(backup: Path, made: Manifest) -> None:
    programs.restore(backup / DUMP)
    _require_same_rows(made)


def _require_version(made: Manifest) -> None:
    if unknown := known_migrations.unknown(made.migrations):
        raise BackupFailed(
            f"This backup was made by LeadMachine {made.version}, which is newer than this version ({unknown[-1]}). "
            "Restore it with that version or a later one. Nothing was changed."
        )


def require_empty_database() -> None:
    """Raise BackupFailed if there are tables."""
    if connection.introspection.table_names():
        name = connection.settings_dict["NAME"]
        raise BackupFailed(
            f"The database {name} is not empty, so nothing was changed. Restore into an empty one. If you don't need "
            f"what is in it: dropdb {name} && createdb --owner ROLE {name}"
        )


def _require_same_rows(made: Manifest) -> None:
    if lines := row_counts.differences(made.rows, row_counts.by_company()):
        raise BackupFailed(
            "The database is restored, but its rows are not those of the backup. Does another process write into it? "
            "Stop all processes, and start again with an empty database.\n"
            + "\n".join(lines)
        )
