"""How many connections to PostgreSQL each process takes, and a PgBouncer that has fewer than all of them together."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connection

from leadmachine import database_connections, gunicorn
from tests.faults import pooler
from tests.faults.processes import wait_for
from tests.faults.servers import OURS
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

CLIENTS = 6
SAVES = 25  # of each client
POOL = 12  # a web process, two workers and their timers have 28 threads


@contextmanager
def saving(world: World, clients: int) -> Iterator[Counter[int]]:
    """So many scripts save leads meanwhile, SAVES each at least. Yields the statuses of their answers."""
    company, statuses, stopped = world.connect(), Counter[int](), threading.Event()
    apis = [world.api(company) for _ in range(clients)]

    def save(client: int) -> None:
        for number in range(10_000):
            if stopped.is_set() and number >= SAVES:
                return
            statuses[apis[client].save_lead(10_000 * client + number)[0]] += 1

    with ExitStack() as threads:
        for client in range(clients):
            thread = threading.Thread(target=save, args=(client,))
            thread.start()
            threads.callback(thread.join)
        threads.callback(stopped.set)
        yield statuses


def open_connections(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
        )
        return int(cursor.fetchone()[0])


def test_each_process_takes_as_many_as_it_says(world: World) -> None:
    usual = world.environment["DATABASE_URL"]
    world.environment["DATABASE_URL"] = usual.replace(OURS, "the-web")
    world.start_web()
    world.environment["DATABASE_URL"] = usual.replace(OURS, "the-worker")
    world.start_worker()
    world.wait_for_worker()
    at_most = {
        "the-web": database_connections.of_web(threads=gunicorn.threads),
        "the-worker": database_connections.of_worker(2),
    }
    # All but the one that is used for a moment.
    usually = {
        name: count - database_connections.FOR_A_MOMENT
        for name, count in at_most.items()
    }
    peak: Counter[str] = Counter()

    def are_reached() -> bool:
        peak.update(
            {name: max(0, open_connections(name) - peak[name]) for name in at_most}
        )
        return all(peak[name] >= usually[name] for name in usually)

    with saving(world, 2 * gunicorn.threads):
        wait_for(are_reached, seconds=30, told="each thread has used the database")

    assert {name: peak[name] for name in at_most if peak[name] > at_most[name]} == {}
    assert (
        "This worker takes up to 10 connections to PostgreSQL, which accepts "
        in world.log("worker1")
    )


@pytest.mark.skipif(
    pooler.PROGRAM is None, reason="PgBouncer is not installed (apt install pgbouncer)"
)
def test_a_small_pool_is_enough_if_no_thread_keeps_its_connection(world: World) -> None:
    with pooler.pgbouncer(
        world.database_server, through=world.database.port, default_pool_size=POOL
    ) as port:
        world.environment["DATABASE_URL"] = (
            f"{world.database_server.url(port=port)}&conn_max_age=0"
        )
        start_all(world)

        with saving(world, CLIENTS) as statuses:
            pass
        world.wait_for_the_end()

        assert set(statuses) == {201}
        assert "leadmachine.W027" not in world.logs()
        assert world.broken() == []


@pytest.mark.skipif(
    pooler.PROGRAM is None, reason="PgBouncer is not installed (apt install pgbouncer)"
)
def test_a_pool_with_room_for_all_is_enough_too_and_the_start_says_how_much_that_is(
    world: World,
) -> None:
    with pooler.pgbouncer(
        world.database_server, through=world.database.port, default_pool_size=31
    ) as port:
        world.environment["DATABASE_URL"] = world.database_server.url(port=port)
        start_all(world)

        with saving(world, CLIENTS) as statuses:
            pass
        world.wait_for_the_end()

        assert set(statuses) == {201}
        assert (
            "leadmachine.W027: There is a PgBouncer in front of PostgreSQL. This worker keeps up to 10"
            in world.log("worker1")
        )
        assert "The web server keeps up to 9" in world.log("web")
        assert world.broken() == []


def start_all(world: World) -> None:
    world.start_web()
    for name in ("worker1", "worker2"):
        world.start_worker(name)
    for name in ("worker1", "worker2"):
        world.wait_for_worker(name)
