"""Rehearses an upgrade: restores a backup into a database of its own, migrates it, and compares."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import ProgrammingError, connection
from psycopg.sql import SQL, Identifier

from leadmachine.backups import restoring, row_counts
from leadmachine.backups.contents import BackupFailed
from leadmachine.backups.manifest import Manifest
from leadmachine.upgrades import checksums
from leadmachine.upgrades.timing import Stopwatch, Timing

# Their rows say what is migrated, and what there is in this version.
DJANGOS: Final = {"auth_permission", "django_content_type", "django_migrations"}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How long each migration took, and what was not the same after all of them."""

    backup: Manifest
    timings: list[Timing]
    differences: list[str]


class TimedMigrate(migrate.Command):
    """`migrate`, with a stopwatch instead of messages."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self.stopwatch = stopwatch

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        if action == "apply_start":
            self.stopwatch.start()
        elif action == "apply_success":
            self.stopwatch.stop(str(migration))


def rehearse(backup: Path) -> Rehearsal:
    """Migrate a copy of the database, made from this backup. Raises BackupFailed."""
    with _copy():
        made = restoring.restore_copy(backup)
        rows, columns = row_counts.by_company(), checksums.by_column()
        stopwatch = Stopwatch()
        with connection.execute_wrapper(stopwatch):
            call_command(TimedMigrate(stopwatch), interactive=False, verbosity=0)
        lines = row_counts.differences(_ours(rows), _ours(row_counts.by_company()))
        lines += checksums.differences(_ours(columns), checksums.by_column())
    return Rehearsal(made, stopwatch.timings, lines)


def _ours(tables: Any) -> Any:
    return {name: of for name, of in tables.items() if name not in DJANGOS}


@contextmanager
def _copy() -> Iterator[None]:
    """Within this block, Django uses an empty database beside its own, which is removed at the end."""
    name = f"{connection.settings_dict['NAME']}_rehearsal"
    _create(name)
    with using(name):
        restoring.require_empty_database()
    try:
        with using(name):
            yield
    finally:
        _run("DROP DATABASE {} WITH (FORCE)", name)


def _create(name: str) -> None:
    """Create this database, unless it is there. Raises BackupFailed if our role may not."""
    if _exists(name):
        return
    try:
        _run("CREATE DATABASE {}", name)
    except ProgrammingError as error:
        role = connection.settings_dict["USER"]
        raise BackupFailed(
            f"The role {role} may not create a database, so create it before: "
            f"createdb --owner {role} {name}"
        ) from error


def _exists(database: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [database])
        return cursor.fetchone() is not None


def _run(statement: LiteralString, database: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SQL(statement).format(Identifier(database)).as_string())


@contextmanager
def using(name: str) -> Iterator[None]:
    """Within this block, Django uses this database of the same server."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
