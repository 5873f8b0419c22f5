"""An index that a migration makes while others write; where it was broken off, the migration can be run again."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.state import ProjectState
from django.db.models import Index

from capi.models import EarlierAttempt
from crm.models.tenancy import AddIndexUnblocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ADDED = AddIndexUnblocked("earlierattempt", Index(fields=["attempt"], name="added_by_a_test"))


def columns_of(index: str) -> list[str]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, EarlierAttempt._meta.db_table)
    return found[index]["columns"] if index in found else []


def run(step: str) -> None:
    before = ProjectState.from_apps(apps)
    after = before.clone()
    ADDED.state_forwards("capi", after)
    states = (before, after) if step == "database_forwards" else (after, before)
    with connection.schema_editor(atomic=False) as editor:
        getattr(ADDED, step)("capi", editor, *states)


def test_it_is_added_and_taken_away_again() -> None:
    run("database_forwards")
    added = columns_of("added_by_a_test")
    run("database_backwards")

    assert added == ["attempt_id"]
    assert columns_of("added_by_a_test") == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="nothing is left behind where DDL is in a transaction")
def test_what_a_broken_off_run_left_behind_is_replaced() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX added_by_a_test ON capi_earlierattempt (event_id)")

    run("database_forwards")
    added = columns_of("added_by_a_test")
    run("database_backwards")

    assert added == ["attempt_id"]
