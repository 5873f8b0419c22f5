"""How long a statement may take: by our clock, by the server's, and where more time is given on purpose."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from postgresql import base, bounds
from postgresql.base import BoundedConnection, DatabaseWrapper
from postgresql.bounds import statements_may_take
from tests.faults.processes import wait_for
from tests.faults.proxy import Proxy
from tests.faults.servers import OURS, Database

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half_a_second() -> Iterator[None]:
    """As in a web server that gives its database half a second."""
    connection.close()
    bounds.bound_thread(0.5)
    yield
    del bounds._bound.seconds
    connection.close()


@pytest.fixture
def line(half_a_second: None) -> Iterator[tuple[BaseDatabaseWrapper, Proxy]]:
    """A connection through a proxy that can fall silent. The server would take longer than the client to give up."""
    server = Database()
    proxy = Proxy(server.address)
    options = {
        **connection.settings_dict["OPTIONS"],
        "options": "-c statement_timeout=0",
    }
    options |= {"host": "127.0.0.1", "port": proxy.port, "application_name": OURS}
    given = {**connection.settings_dict, "HOST": "", "PORT": "", "OPTIONS": options}
    wrapper = DatabaseWrapper(given)
    yield wrapper, proxy
    wrapper.close()
    proxy.down()
    # Which don't notice that their client is gone while they are at work.
    server.end_connections()


@contextmanager
def given_up() -> Iterator[None]:
    """Fails unless our clock ends what is inside after half a second; the proxy would be silent for ever."""
    start = time.monotonic()
    with pytest.raises(
        (OperationalError, psycopg.OperationalError),
        match=r"PostgreSQL has not answered within 0.5 seconds",
    ):
        yield
    assert time.monotonic() - start >= 0.5


def test_a_statement_without_an_answer_is_given_up_and_its_connection_closed(
    line,
) -> None:
    wrapper, proxy = line
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
        proxy.silence()

        with given_up():
            cursor.execute("SELECT 2")

    assert wrapper.connection.closed


def test_outside_of_a_transaction_the_next_statement_opens_another_connection(
    line,
) -> None:
    wrapper, proxy = line
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
        proxy.silence()
        with given_up():
            cursor.execute("SELECT 2")

    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 3")

        assert cursor.fetchone() == (3,)


def test_the_end_of_a_request_opens_no_connection_in_place_of_one_that_is_gone(
    line,
) -> None:
    wrapper, proxy = line
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
        proxy.down()
        with pytest.raises(OperationalError):
            cursor.execute("SELECT 2")

    wrapper.close_if_unusable_or_obsolete()

    assert wrapper.connection is None


def test_inside_a_transaction_nothing_goes_on_as_if_it_had_not_failed(line) -> None:
    wrapper, proxy = line
    wrapper.ensure_connection()
    wrapper.set_autocommit(False)
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
        proxy.silence()
        with given_up():
            cursor.execute("SELECT 2")

    with pytest.raises(OperationalError, match="closed"):
        wrapper.cursor()


def test_a_commit_without_an_answer_is_given_up(line) -> None:
    wrapper, proxy = line
    wrapper.ensure_connection()
    wrapper.set_autocommit(False)
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
    proxy.silence()

    with given_up():
        wrapper.commit()

    wrapper.close()


def test_a_rollback_without_an_answer_is_given_up(line) -> None:
    wrapper, proxy = line
    wrapper.ensure_connection()
    wrapper.set_autocommit(False)
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
    proxy.silence()

    with given_up():
        wrapper.rollback()

    wrapper.close()


def test_a_piece_of_a_server_side_cursor_without_an_answer_is_given_up(line) -> None:
    wrapper, proxy = line
    with wrapper.chunked_cursor() as cursor:
        cursor.execute("SELECT generate_series(1, 1000)")
        assert len(cursor.fetchmany(10)) == 10
        proxy.silence()

        with given_up():
            cursor.fetchmany(10)


def test_a_copy_without_an_answer_is_given_up(line) -> None:
    wrapper, proxy = line
    with (
        wrapper.cursor() as cursor,
        given_up(),
        cursor.copy("COPY (SELECT 1 FROM pg_sleep(60)) TO STDOUT") as copy,
    ):
        proxy.silence()
        copy.read()


def test_a_connection_that_died_while_idle_is_replaced_before_its_first_statement(
    line,
) -> None:
    wrapper, proxy = line
    wrapper.ensure_connection()
    wrapper.health_check_enabled = True
    proxy.silence()

    wrapper.close_if_unusable_or_obsolete()  # as at the start of a request
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")

        assert cursor.fetchone() == (1,)


def test_what_was_idle_when_another_connection_died_is_replaced_without_being_asked(
    line,
) -> None:
    wrapper, proxy = line
    idle = DatabaseWrapper(wrapper.settings_dict)
    idle.ensure_connection()
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")
        proxy.silence()
        with given_up():
            cursor.execute("SELECT 2")

    assert not idle.is_usable()

    assert not idle.connection.closed  # as it would be if it had been queried
    idle.close()
    idle.ensure_connection()
    assert idle.is_usable()
    idle.close()


def test_a_new_connection_that_waits_for_its_turn_says_nothing_about_the_others(
    line,
) -> None:
    """As behind a PgBouncer whose pool is used up: those that have a connection must not give theirs up too."""
    wrapper, proxy = line
    wrapper.ensure_connection()
    new = BoundedConnection.connect(**wrapper.get_connection_params())
    proxy.silence()
    with given_up():
        new.execute("SELECT 1")

    assert base._last_timeout == float("-inf")


def test_a_silent_connection_is_closed_at_once(line) -> None:
    wrapper, proxy = line
    wrapper.ensure_connection()
    proxy.silence()
    closed = threading.Thread(target=lambda: wrapper.close(), daemon=True)
    wrapper.inc_thread_sharing()

    closed.start()
    closed.join(5)

    assert not closed.is_alive()


def test_a_statement_that_takes_long_is_ended_by_the_server_first_and_the_connection_stays(
    half_a_second,
) -> None:
    bounds.bound_thread(3)  # of which the server has 2.7 seconds
    with connection.cursor() as cursor:
        with pytest.raises(OperationalError, match="statement timeout"):
            cursor.execute("SELECT pg_sleep(30)")

        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_what_may_take_longer_does(half_a_second) -> None:
    with statements_may_take(30), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_sleep(0.7)")

        assert cursor.fetchone() == (1,)


def test_afterwards_the_old_bound_holds_again_on_both_sides(half_a_second) -> None:
    with statements_may_take(30):
        assert (bounds.seconds(), told_to_server()) == (30, "27s")

    assert (bounds.seconds(), told_to_server()) == (0.5, "450ms")


def test_the_old_bound_holds_again_after_a_failed_transaction(half_a_second) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        transaction.atomic(),
        statements_may_take(30),
    ):
        with pytest.raises(Exception, match="nonsense"), connection.cursor() as cursor:
            cursor.execute("nonsense")
        raise ZeroDivisionError

    assert (bounds.seconds(), told_to_server()) == (0.5, "450ms")


def test_a_shorter_time_is_not_what_may_take_longer_means(half_a_second) -> None:
    with statements_may_take(0.1):
        assert (bounds.seconds(), told_to_server()) == (0.5, "450ms")


def test_a_process_without_a_bound_waits_for_as_long_as_it_takes() -> None:
    with statements_may_take(30):
        assert (bounds.seconds(), told_to_server()) == (None, "0")


def test_what_the_address_of_the_database_says_of_statements_wins(
    half_a_second,
) -> None:
    options = {
        **connection.settings_dict["OPTIONS"],
        "options": "-c statement_timeout=123s",
    }
    wrapper = DatabaseWrapper({**connection.settings_dict, "OPTIONS": options})
    try:
        with wrapper.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("123s",)
    finally:
        wrapper.close()


def test_the_server_ends_a_session_that_has_said_nothing_for_its_time_and_nobody_notices(
    half_a_second,
) -> None:
    bounds._bound.idle_seconds = 0.5
    try:
        connection.ensure_connection()
        connection.health_check_enabled = True
        ended = connection.connection.info.backend_pid
        wait_for(
            lambda: not is_there(ended),
            seconds=30,
            told="PostgreSQL has ended the session.",
        )

        connection.close_if_unusable_or_obsolete()  # as at the start of a request
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            assert cursor.fetchone() != (ended,)
    finally:
        del bounds._bound.idle_seconds


def is_there(session: int) -> bool:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [session])
            return cursor.fetchone() is not None
    finally:
        other.close()


def told_to_server() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])
