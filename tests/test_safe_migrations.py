"""No migration breaks the web servers and workers of the version before it, as django-migration-linter sees it."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django_migration_linter import MigrationLinter

pytestmark = pytest.mark.django_db

OURS = ("capi", "crm")
# Warnings, and what we name the two arguments of a RunPython, are no danger to a process that runs.
NO_DANGER = [
    "RUNPYTHON_ARGS_NAMING_CONVENTION",
    "CREATE_INDEX",
    "CREATE_INDEX_EXCLUSIVE",
    "DROP_INDEX",
]
# Each with the reason why it is safe all the same. CONTRIBUTING.md says how to do without.
SAFE_NEVERTHELESS = {
    "capi.0001_initial": "no process runs before it",
    "crm.0001_initial": "no process runs before it",
    "crm.0010_intake": "the table with the unique columns is new in the same migration",
}


def migrations() -> Iterator[Migration]:
    """Our own, in no order."""
    for key, migration in MigrationLoader(connection).disk_migrations.items():
        if key[0] in OURS:
            yield migration


def test_no_migration_breaks_the_processes_of_the_version_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    linter = MigrationLinter(no_cache=True, exclude_migration_tests=NO_DANGER)
    unsafe = []

    for migration in migrations():
        linter.reset_counters()
        linter.lint_migration(migration)
        if linter.has_errors:
            unsafe.append(f"{migration.app_label}.{migration.name}")

    assert sorted(unsafe) == sorted(SAFE_NEVERTHELESS), capsys.readouterr().out
