"""The broker goes away while workers hold messages: F65. They reconnect and stay the same processes."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from capi.tasks import deliver
from leadmachine.celery import app
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.two_workers import (
    assert_all_run,
    start_two_workers,
    wait_until_each_hears,
)
from tests.faults.world import ABOUT_BROKER, Saver

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def restart_in_good_order(world: Any) -> None:
    world.broker_server.stop()
    world.broker_server.start()


def kill(world: Any) -> None:
    world.broker_server.restart()


def flush(world: Any) -> None:
    with world.broker_server.client() as client:
        client.flushall()


def fail_over(world: Any) -> None:
    """For half a second the broker is a replica of a server that isn't there: waiting reads end, writes are refused."""
    with world.broker_server.client() as client:
        client.replicaof("127.0.0.1", "9")
        time.sleep(0.5)
        client.replicaof("NO", "ONE")


def end_all_connections(world: Any) -> None:
    with world.broker_server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)


def reset_all_connections(world: Any) -> None:
    world.broker.reset()


def ask_for_a_password(world: Any) -> None:
    """For half a second the broker asks for a password that we don't know."""
    with world.broker_server.client() as client:
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.5)
        client.config_set("requirepass", "")


def run_out_of_memory(world: Any) -> None:
    with world.broker_server.client() as client:
        client.config_set("maxmemory", "1")
        client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.5)
        client.config_set("maxmemory", "0")


FAULTS: tuple[Callable[[Any], None], ...] = (
    restart_in_good_order,
    kill,
    flush,
    fail_over,
    end_all_connections,
    reset_all_connections,
    ask_for_a_password,
    run_out_of_memory,
)


@pytest.mark.covers("F65")
def test_workers_that_hold_messages_outlive_every_end_of_the_broker(world) -> None:
    company = world.connect()
    world.start_web()
    before = start_two_workers(world)
    with figures.chance(figures.SEED) as chance, Saver(world.api(company)) as person:
        for number in range(figures.rounds(len(FAULTS), long=200)):
            hold_messages(world, company)
            time.sleep(0.5 + chance.random())
            FAULTS[number % len(FAULTS)](world)
            figures.count("broker faults under held messages")
            assert_all_run(world, before)
        wait_until_each_hears(world, company, seconds=30)

    world.wait_for_the_end()

    assert_all_run(world, before)
    assert person.lost == set()
    assert person.refused == []
    assert world.broken(explained=ABOUT_BROKER) == []


def hold_messages(world: Any, company: Any) -> None:
    """Have each worker hold messages, unacknowledged, until their time has come."""
    with world.broker_server.client() as client:
        wait_for(lambda: client.ping(), seconds=5, told="the broker answers")
    with app.connection_for_write(world.broker_server.url) as line:
        producer = app.amqp.Producer(line)
        for _ in range(8):
            deliver.apply_async([company.pk], producer=producer, countdown=60)


@pytest.mark.representative
def test_nobody_ends_a_worker_through_redis(world) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    with app.connection_for_write(world.broker_server.url) as line:
        app.control.broadcast("shutdown", connection=line)

    world.wait_until_heard(company)

    with world.broker_server.client() as client:
        assert client.pubsub_numpat() == 0
    assert world.running["worker1"].poll() is None
    assert world.broken() == []
