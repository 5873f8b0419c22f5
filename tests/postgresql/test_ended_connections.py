"""A connection that the server ends between two statements: outside of a transaction, the next one doesn't notice."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other() -> Iterator[BaseDatabaseWrapper]:
    wrapper = connection.copy()
    yield wrapper
    wrapper.close()


def query(wrapper: BaseDatabaseWrapper, statement: str, *parameters: object) -> object:
    with wrapper.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()[0] if cursor.description else None


def end(wrapper: BaseDatabaseWrapper) -> None:
    assert query(
        connection,
        "SELECT pg_terminate_backend(%s, 5000)",
        wrapper.connection.info.backend_pid,
    )


def test_the_next_statement_runs_on_another_connection(other) -> None:
    before = query(other, "SELECT pg_backend_pid()")

    end(other)

    assert query(other, "SELECT pg_backend_pid()") != before


def test_so_does_the_next_transaction(other) -> None:
    query(other, "SELECT 1")

    end(other)

    other.set_autocommit(False)
    assert query(other, "SELECT 2") == 2
    other.rollback()


def test_the_end_of_a_request_opens_none(other) -> None:
    query(other, "SELECT 1")
    end(other)

    other.close_if_unusable_or_obsolete()

    assert other.connection is None


def test_a_select_during_which_it_ends_is_run_once_more(other) -> None:
    """What it returns is the result of the second time, on a connection that lives."""
    query(other, "CREATE TEMPORARY TABLE here AS SELECT 1")

    seen = query(
        other,
        "SELECT to_regclass('here') IS NULL OR NOT pg_terminate_backend(pg_backend_pid())",
    )

    assert seen is True


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$",
        "WITH ended AS (SELECT pg_terminate_backend(pg_backend_pid())) SELECT 1 FROM ended",
    ],
)
def test_no_other_statement_is(other, statement) -> None:
    with pytest.raises(OperationalError):
        query(other, statement)


def test_inside_a_transaction_nothing_goes_on_as_if_it_had_not_failed() -> None:
    killer = connection.copy()
    with pytest.raises(OperationalError), transaction.atomic():
        query(connection, "SELECT 1")
        query(
            killer,
            "SELECT pg_terminate_backend(%s, 5000)",
            connection.connection.info.backend_pid,
        )
        query(connection, "SELECT 2")
    killer.close()

    assert query(connection, "SELECT 3") == 3


def test_hooks_that_run_after_the_commit_have_a_connection(other) -> None:
    seen = []

    with transaction.atomic():
        query(connection, "SELECT 1")
        pid = connection.connection.info.backend_pid
        transaction.on_commit(
            lambda: query(other, "SELECT pg_terminate_backend(%s, 5000)", pid)
        )
        transaction.on_commit(lambda: seen.append(query(connection, "SELECT 2")))

    assert seen == [2]


def test_a_message_that_no_one_has_asked_for_ends_nothing(other) -> None:
    query(other, "LISTEN news")
    pid = query(other, "SELECT pg_backend_pid()")

    query(connection, "NOTIFY news")

    assert query(other, "SELECT pg_backend_pid()") == pid
