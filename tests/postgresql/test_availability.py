"""Which of PostgreSQL's errors are an outage, and of which kind."""

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    connection,
    transaction,
)

from postgresql.availability import Unavailable, took_too_long, why_unavailable

pytestmark = pytest.mark.django_db(transaction=True)


def raised_by_server(code: str) -> DatabaseError:
    """What Django raises for an error of the server with this code."""
    with pytest.raises(DatabaseError) as caught, connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
    return caught.value


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("53100", Unavailable.NO_SPACE),  # disk full
        ("53200", Unavailable.OVERLOADED),  # out of memory
        ("53300", Unavailable.OVERLOADED),  # too many connections
        ("58030", Unavailable.NO_SPACE),  # I/O error
        ("25006", Unavailable.READ_ONLY),
        ("57P01", Unavailable.UNREACHABLE),  # shut down by an administrator
        ("57P02", Unavailable.UNREACHABLE),  # crashed
        ("57P03", Unavailable.UNREACHABLE),  # starting up
        ("57P05", Unavailable.UNREACHABLE),  # idle for too long
        ("25P03", Unavailable.UNREACHABLE),  # idle in a transaction for too long
        ("08006", Unavailable.UNREACHABLE),  # connection failure
        ("08P01", Unavailable.UNREACHABLE),  # how PgBouncer says "query_wait_timeout"
        ("57014", Unavailable.TOO_SLOW),  # statement timeout
        ("55P03", Unavailable.TOO_SLOW),  # lock timeout
        ("40P01", None),  # deadlock
        ("23505", None),  # unique violation
        ("42601", None),  # syntax error
        ("22000", None),  # data exception
        ("XX000", None),  # internal error
    ],
)
def test_the_code_decides(code: str, reason: Unavailable | None) -> None:
    error = raised_by_server(code)

    assert why_unavailable(error) is reason
    # psycopg's own, as a COPY raises it.
    assert why_unavailable(error.__cause__) is reason
    assert took_too_long(error) is (reason is Unavailable.TOO_SLOW)


def test_a_connection_that_ends_during_a_statement() -> None:
    with pytest.raises(DatabaseError) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    assert why_unavailable(caught.value) is Unavailable.UNREACHABLE


def test_a_transaction_whose_connection_has_ended() -> None:
    with pytest.raises((DatabaseError, InterfaceError)) as later, transaction.atomic():
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    assert why_unavailable(later.value) is Unavailable.UNREACHABLE


@pytest.mark.parametrize(
    "options", [{"host": "/nowhere"}, {"connect_timeout": 1, "hostaddr": "192.0.2.1"}]
)
def test_a_connection_that_can_not_be_opened(
    options: dict[str, str], unconnected: None
) -> None:
    connection.settings_dict["OPTIONS"] |= options

    with pytest.raises(DatabaseError) as caught:
        connection.ensure_connection()

    assert why_unavailable(caught.value) is Unavailable.UNREACHABLE


def test_other_errors_are_none() -> None:
    mistake = ValueError("of ours, while an outage was handled")
    mistake.__cause__ = psycopg.OperationalError("the connection is closed")

    for error in (IntegrityError(), mistake, KeyError("x"), None):
        assert why_unavailable(error) is None


@pytest.fixture
def unconnected() -> Iterator[None]:
    usual = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {**usual}
    yield
    connection.settings_dict["OPTIONS"] = usual
