"""Connections to Redis die silently: F66. No process is told, and each has to find out by itself."""

import time
from typing import Any

import pytest

from tests.faults import figures
from tests.faults.proxy import BLACK_HOLE
from tests.faults.two_workers import (
    assert_all_run,
    start_two_workers,
    wait_until_each_hears,
)
from tests.faults.world import ABOUT_BROKER, Saver, timed

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

# After a cut a worker has noticed within 5 s; a machine under load needs longer to take
# the next.
HEARD_SECONDS = 8


@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.covers("F66")
def test_workers_hear_again_within_seconds_after_their_connections_fall_silent(
    world,
) -> None:
    company = world.connect()
    world.start_web()
    before = start_two_workers(world)
    with figures.chance(figures.SEED) as chance, Saver(world.api(company)) as person:
        for _ in range(figures.rounds(2, long=40)):
            time.sleep(0.5 + chance.random())
            assert world.broker.silence() >= 2
            figures.count("silent cuts of the broker")

            assert_people_save(person)
            wait_until_each_hears(world, company, seconds=HEARD_SECONDS)
            assert_all_run(world, before)

    world.wait_for_the_end()

    assert person.lost == set()
    assert person.refused == []
    assert world.broken(explained=ABOUT_BROKER) == []


@pytest.mark.covers("F66")
def test_workers_hear_again_after_a_while_in_which_nothing_came_through(world) -> None:
    company = world.connect()
    world.start_web()
    before = start_two_workers(world)
    with Saver(world.api(company)) as person:
        world.broker.trouble = BLACK_HOLE
        world.broker.silence()
        figures.count("silent cuts of the broker")
        assert_people_save(person)
        time.sleep(8)  # longer than it takes to notice
        world.broker.up()

        # The way back is tried after 2, 4, 6 s ...
        wait_until_each_hears(world, company, seconds=30)

    world.wait_for_the_end()

    assert_all_run(world, before)
    assert person.lost == set()
    assert person.refused == []
    assert world.broken(explained=ABOUT_BROKER) == []


def assert_people_save(person: Any) -> None:
    """Assert that from now on the person is answered ten times, each time within ten seconds."""
    for _ in range(10):
        known = len(person.saved)
        with timed(10):
            while len(person.saved) == known:
                time.sleep(0.005)
