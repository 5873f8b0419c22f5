"""Connections whose packets are lost, while new ones work: F68. The kernels see it too, unlike behind a proxy."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection

from postgresql.bounds import options
from tests import network
from tests.faults import figures
from tests.faults.cuts import cut_under_load
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.servers import OURS, Database
from tests.faults.wire import NoWire, Wire
from tests.faults.world import ABOUT_BROKER, ABOUT_DATABASE, SORRY

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

# Production requires one for a remote broker; Valkey's user "default" accepts any.
ANY_PASSWORD = "any"


@pytest.fixture
def wire():
    try:
        with network.changing(), Wire() as wire:
            yield wire
    except NoWire as lack:
        pytest.skip(f"no network of its own: {lack}")


@pytest.mark.covers("F68")
def test_packets_to_the_database_that_are_dropped_under_load_cost_seconds(
    world, wire
) -> None:
    port = wire.proxy(world.database_server.address).port
    world.environment["DATABASE_URL"] = world.database_server.url(
        host=wire.far, port=port
    )
    rounds = figures.rounds(1, long=40)

    people = cut_under_load(
        world, wire.drop, rounds=rounds, what="dropped lines to the database"
    )

    assert all(answer in SORRY for person in people for answer in person.refused)
    assert [person.saved_all_the_same for person in people] == [set()] * len(people)
    # Each of these refusals is in the log of the web server.
    assert (
        world.broken(explained=f"{ABOUT_DATABASE}|Service Unavailable: /api/v1/leads/")
        == []
    )
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.covers("F68")
def test_packets_to_the_broker_that_are_dropped_under_load_hold_nobody_up(
    world, wire
) -> None:
    port = wire.proxy(("127.0.0.1", world.broker_server.port)).port
    world.environment["REDIS_URL"] = (
        f"redis://default:{ANY_PASSWORD}@{wire.far}:{port}/0"
    )
    rounds = figures.rounds(1, long=40)

    people = cut_under_load(
        world, wire.drop, rounds=rounds, what="dropped lines to the broker"
    )

    assert [answer for person in people for answer in person.refused] == []
    assert world.broken(explained=ABOUT_BROKER) == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.representative
@pytest.mark.covers("F68")
def test_the_kernel_ends_a_statement_that_is_never_acknowledged(wire) -> None:
    with connect(wire, tcp_user_timeout=1_000) as line:
        line.execute("SELECT 1")
        wire.drop()

        assert ended_by_the_kernel(ask(line, "SELECT 2"))


@pytest.mark.covers("F68")
def test_the_kernel_ends_the_wait_for_an_answer_that_never_comes(wire) -> None:
    given = {
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": 2,
        "tcp_user_timeout": 1_000,
    }
    with connect(wire, **given) as line:
        asked = ask(line, "SELECT pg_sleep(20)")
        wait_for(
            is_at_work, seconds=5, told="the statement has arrived, and is acknowledged"
        )
        wire.drop()

        assert ended_by_the_kernel(asked)
    Database().end_connections()


@contextmanager
def connect(wire: Wire, **given: int) -> Iterator[psycopg.Connection]:
    """A connection with our options, but psycopg's alone: none of our own clocks run."""
    server = Database()
    words = {
        "host": wire.far,
        "port": wire.proxy(server.address).port,
        "application_name": OURS,
    }
    params = (
        connection.get_connection_params() | options(given, idle_seconds=60) | words
    )
    line = psycopg.connect(**params)
    yield line
    line.close()


def ask(line: psycopg.Connection, statement: str) -> "Future[object]":
    """Run it in a thread of its own."""
    pool = ThreadPoolExecutor(1)
    asked = pool.submit(line.execute, statement)
    pool.shutdown(wait=False)
    return asked


def ended_by_the_kernel(asked: "Future[object]") -> bool:
    """Fails where nothing has ended it after 10 seconds."""
    error = asked.exception(timeout=10)
    assert error
    return "timed out" in str(error)


def is_at_work() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'PgSleep'",
            [OURS],
        )
        return bool(cursor.fetchone()[0])
