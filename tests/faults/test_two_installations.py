"""Two installations share one Redis, and processes start before their database is there."""

import pytest

from leadmachine import installation
from tests.faults.processes import command, wait_for
from tests.faults.world import ABOUT_BROKER, ABOUT_DATABASE

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.mark.representative
def test_a_worker_leaves_the_wake_ups_of_another_installation_where_they_are(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    with monkeypatch.context() as other:
        other.setattr(installation, "name", lambda: "another")
        world.queue_wake_ups(company, 20)
        theirs = world.queue

    world.wait_until_heard(company)

    with world.broker_server.client() as client:
        assert client.llen(theirs) == 20
    assert world.log("worker1").count("succeeded") == 1
    assert world.broken() == []


def test_a_worker_that_starts_without_its_database_hears_wake_ups_once_that_is_there(
    world,
) -> None:
    company = world.connect()
    world.stop_forking()  # loading needs no database either
    world.database.down()
    world.start_worker()
    wait_for(
        lambda: "name can't be read from the database" in world.log("worker1"),
        seconds=30,
        told="it waits for its database",
    )

    world.database.up()
    world.wait_for_worker()

    world.wait_until_heard(company)
    assert world.broken(explained=f"{ABOUT_BROKER}|{ABOUT_DATABASE}") == []


def test_a_web_server_that_starts_without_its_database_wakes_workers_once_that_is_there(
    world,
) -> None:
    company = world.connect()
    world.stop_forking()
    world.database.down()
    world.start("web", command("web"))
    wait_for(
        lambda: "LeadMachine is ready" in world.log("web"),
        seconds=30,
        told="it has started",
    )
    world.database.up()
    world.wait_for_web()

    status, _ = world.api(company).save_lead(1)

    assert status == 201
    with world.broker_server.client() as client:
        wait_for(
            lambda: client.llen(world.queue) == 1, seconds=10, told="a wake-up waits"
        )
