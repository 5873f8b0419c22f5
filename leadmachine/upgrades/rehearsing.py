"""Rehearses an upgrade: restores a backup into a database of its own, migrates it, and compares."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import Error, OperationalError, ProgrammingError, connection
from psycopg.sql import SQL, Identifier

from leadmachine.backups import restoring, row_counts
from leadmachine.backups.contents import BackupFailed
from leadmachine.backups.manifest import Manifest
from leadmachine.database_locks import REHEARSAL, try_lock
from leadmachine.upgrades import checksums
from leadmachine.upgrades.timing import Stopwatch, Timing

LONGEST_NAME: Final = 63  # bytes
MARK: Final = "A copy that a rehearsal of LeadMachine has made and removes."
# Their rows say what is migrated, and what there is in this version.
OF_DJANGO: Final = {"auth_permission", "django_content_type", "django_migrations"}


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
    return {name: of for name, of in tables.items() if name not in OF_DJANGO}


@contextmanager
def _copy() -> Iterator[None]:
    """Within this block, Django uses an empty database beside its own, which is removed at the end."""
    name = _name()
    with try_lock(connection, REHEARSAL) as is_alone:
        if not is_alone:
            raise BackupFailed("Another rehearsal is running. Wait for its end.")
        _prepare(name)
        try:
            with using(name):
                _require_connection(name)
                yield
        except BaseException:
            with suppress(BackupFailed):  # the first failure is the one to know
                _drop(name)
            raise
        _drop(name)


def _name() -> str:
    name = f"{connection.settings_dict['NAME']}_rehearsal"
    if len(name.encode()) > LONGEST_NAME:
        raise BackupFailed(
            f"The copy would be named {name}, which is longer than PostgreSQL allows ({LONGEST_NAME} bytes)."
        )
    return name


def _prepare(name: str) -> None:
    """Create this database, unless there is an empty one, and mark it as ours. Removes what a killed rehearsal left."""
    if _comment(name) == MARK:
        _drop(name)
    if _exists(name):
        with using(name):
            _require_connection(name)
            restoring.require_empty_database()
    else:
        _create(name)
    _mark(name)


def _mark(name: str) -> None:
    try:
        _run(f"COMMENT ON DATABASE {{}} IS '{MARK}'", name)
    except ProgrammingError as error:
        raise BackupFailed(
            f"The database {name} belongs to another role: {error}"
        ) from error


def _create(name: str) -> None:
    """Create this database. Raises BackupFailed if our role may not."""
    try:
        _run("CREATE DATABASE {}", name)
    except ProgrammingError as error:
        role = connection.settings_dict["USER"]
        raise BackupFailed(
            f"The role {role} may not create a database, so create it before: "
            f"createdb --owner {role} {name}"
        ) from error


def _drop(name: str) -> None:
    try:
        _run("DROP DATABASE {} WITH (FORCE)", name)
    except Error as error:
        raise BackupFailed(
            f"The copy {name} could not be removed ({error}). The next rehearsal removes it."
        ) from error


def _require_connection(name: str) -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise BackupFailed(
            f"The database {name} can't be reached ({error}). If DATABASE_URL is that of a pooler such as PgBouncer, "
            "let it know this database, too, or use the address of PostgreSQL itself."
        ) from error


def _exists(database: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [database])
        return cursor.fetchone() is not None


def _comment(database: str) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [database],
        )
        found = cursor.fetchone()
        return found[0] if found else None


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
