"""How the database is emptied after a test that committed.

Django truncates every table and recreates content types and permissions, which takes a third of a second in
PostgreSQL. If there is little to delete, deleting takes a twentieth of that.
"""

from functools import cache
from typing import Final

from django.core.management import CommandError
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

KEPT: Final = {"django_content_type", "auth_permission"}  # the same for each test
LOCK_SECONDS: Final = 60  # longer than any transaction of a test
# Rows deleted from a larger table slow down its next reader.
SMALL_BYTES: Final = 1 << 20

truncate_everything = TransactionTestCase._fixture_teardown


def empty(case: TransactionTestCase) -> None:
    """Empty the case's databases. Replaces TransactionTestCase._fixture_teardown."""
    databases = [
        connections[name] for name in case._databases_names(include_mirrors=False)
    ]
    if not all(_deleted(database) for database in databases):
        _truncate(case, databases)


def _truncate(case: TransactionTestCase, databases: list[BaseDatabaseWrapper]) -> None:
    """Truncate every table of PostgreSQL. Fails with the open transactions if one holds a lock for LOCK_SECONDS."""
    for database in databases:
        with database.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    try:
        truncate_everything(case)
    except CommandError as error:
        raise AssertionError(
            "\n".join(who for database in databases for who in _sessions(database))
        ) from error
    finally:
        for database in databases:
            with database.cursor() as cursor:
                cursor.execute("RESET lock_timeout")


def _sessions(database: BaseDatabaseWrapper) -> list[str]:
    """The sessions that are in a transaction now, with its duration and their last query."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT concat_ws(' ', pid, application_name, backend_type, state, wait_event, now() - xact_start, query) "
            "FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()"
        )
        return [who for (who,) in cursor.fetchall()]


def _deleted(database: BaseDatabaseWrapper) -> bool:
    """Delete all rows, or none and return False if a table is large. No key is checked: in the end no row is left."""
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        cursor.execute(_what_is_filled(database.alias))
        filled = dict(cursor.fetchall())
        if max(filled.values(), default=0) > SMALL_BYTES:
            return False
        if filled:
            deletions = (f"DELETE FROM {table}" for table in filled)
            cursor.execute("; ".join([_without_checks(database.alias), *deletions]))
    return True


@cache
def _what_is_filled(alias: str) -> str:
    """The query for the tables that have rows, with their sizes in bytes."""
    database = connections[alias]
    tables = (
        set(
            database.introspection.django_table_names(
                only_existing=True, include_views=False
            )
        )
        - KEPT
    )
    return " UNION ALL ".join(
        f"SELECT '{table}', pg_relation_size('{table}') WHERE EXISTS (SELECT 1 FROM {table})"
        for table in sorted(tables)
    )


@cache
def _without_checks(alias: str) -> str:
    """The statement that lets rows go in any order; one that does nothing where that is not allowed."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        (is_superuser,) = cursor.fetchone()
    return "SET LOCAL session_replication_role = replica" if is_superuser else "SELECT"
