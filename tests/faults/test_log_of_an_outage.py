"""What processes log while PostgreSQL or the broker is away: a traceback each, a line for each failure, and the end."""

import itertools
import re
import time

import pytest

from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.world import ABOUT_BROKER, ABOUT_DATABASE, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

TRACEBACK = "    Traceback (most recent call last):"
ENDED = re.compile(
    r"WARNING leadmachine.outages: (.+) is back. It failed (once|\d+ times)"
)


def tracebacks(log: str) -> int:
    """How many errors are logged with a traceback. The causes of an error count as part of it."""
    lines = log.splitlines()
    return sum(
        line == TRACEBACK and not before.startswith("    ")
        for before, line in itertools.pairwise(lines)
    )


def failures(log: str) -> int:
    """How many failures the ends of outages count."""
    return sum(
        1 if often == "once" else int(often.split()[0])
        for _, often in ENDED.findall(log)
    )


def test_postgresql_away_is_one_traceback_for_each_process_and_its_end_is_told(
    world,
) -> None:
    company = world.connect()
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    api = world.api(company)

    world.database.down()
    answers = [api.add_lead({"first_name": f"Lead {n}"}).status_code for n in range(10)]
    world.queue_wake_ups(company, 10)
    # Each process of the worker meets it: the timers in one, tasks in two.
    wait_for(
        lambda: tracebacks(world.log("worker1")),
        seconds=20,
        told="the worker has failed",
    )
    time.sleep(5)  # rounds of its timers, which fail too
    world.database.up()
    make_leads(company, 5)
    assert api.save_lead(99)[0] == 201
    world.wait_for_the_end(seconds=20)
    wait_for(
        lambda: failures(world.log("worker1")) > 10,
        seconds=10,
        told="its timers say how often they have failed",
    )

    web, worker = world.log("web"), world.log("worker1")
    assert set(answers) == {503}
    assert (
        len(
            re.findall(
                r"ERROR django.request: Service Unavailable: /api/v1/leads/", web
            )
        )
        == 10
    )
    assert tracebacks(web) == 1
    assert ENDED.findall(web) == [("The database", "10 times")]
    assert 1 <= tracebacks(worker) <= 3
    # Each process says it once for its timers and once for its tasks, however often they have failed.
    assert sum(" ERROR " in line for line in worker.splitlines()) <= 6
    assert {what for what, _ in ENDED.findall(worker)} == {"The database"}
    assert (
        world.broken(
            explained=f"{ABOUT_DATABASE}|{ABOUT_BROKER}|Service Unavailable: /api/v1/leads/"
        )
        == []
    )
    figures.count("database outages")


@pytest.mark.representative
def test_the_broker_away_is_told_in_lines_and_its_end_in_one(world) -> None:
    world.connect()
    world.start_worker()
    world.wait_for_worker()

    world.broker.down()
    time.sleep(3)
    world.broker.up()
    wait_for(
        lambda: ENDED.search(world.log("worker1")),
        seconds=20,
        told="the worker tells the end",
    )

    worker = world.log("worker1")
    assert tracebacks(worker) <= 1
    assert [what for what, _ in ENDED.findall(worker)] == ["The broker"]
    assert world.broken(explained=ABOUT_BROKER) == []
    figures.count("broker faults")
