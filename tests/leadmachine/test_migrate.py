"""`manage.py migrate` on a database of another version says so in a sentence, and changes nothing."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from leadmachine.database_locks import MIGRATION, wait_for_lock

pytestmark = pytest.mark.django_db


@pytest.fixture
def recorder() -> MigrationRecorder:
    return MigrationRecorder(connection)


def test_a_migration_that_is_not_here_is_named_and_nothing_is_applied(
    recorder: MigrationRecorder,
) -> None:
    recorder.record_applied("capi", "0018_housekeeping")
    before = recorder.applied_migrations().keys()

    with pytest.raises(
        CommandError,
        match=r"does not have \(capi\.0018_housekeeping\).* remove the folder var/",
    ):
        call_command("migrate", verbosity=0)

    assert recorder.applied_migrations().keys() == before


def test_several_are_counted(recorder: MigrationRecorder) -> None:
    for name in ("0002_older", "0003_newer"):
        recorder.record_applied("crm", name)

    with pytest.raises(CommandError, match=r"crm\.0003_newer and 1 more"):
        call_command("migrate", verbosity=0)


def test_those_of_other_applications_are_their_own_affair(
    recorder: MigrationRecorder,
) -> None:
    recorder.record_applied("gone", "0001_initial")

    call_command("migrate", verbosity=0)


def test_its_lock_has_no_snapshot_that_an_index_built_concurrently_would_wait_for() -> (
    None
):
    with wait_for_lock(connection, MIGRATION), connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, backend_xmin FROM pg_stat_activity JOIN pg_locks USING (pid) "
            "WHERE locktype = 'advisory' AND objid = %s",
            [MIGRATION],
        )
        assert cursor.fetchall() == [("idle in transaction", None)]
