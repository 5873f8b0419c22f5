"""Connections to PostgreSQL that die silently, without FIN or RST, while new ones work: F67."""

import itertools
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm.models import Lead
from leadmachine import gunicorn
from leadmachine.fair_dispatcher import share_of_company
from tests.faults import figures
from tests.faults.cuts import ANSWER_SECONDS, cut_under_load
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.proxy import BLACK_HOLE, NONE
from tests.faults.world import ABOUT_DATABASE, NOTHING_SAVED, SORRY, Api, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.mark.covers("F67")
def test_silent_cuts_under_load_cost_seconds_and_the_same_processes_go_on(
    world,
) -> None:
    rounds = figures.rounds(2, long=40)

    people = cut_under_load(
        world, world.database.silence, rounds=rounds, what="silent cuts of the database"
    )

    assert all(answer in SORRY for person in people for answer in person.refused)
    assert [person.saved_all_the_same for person in people] == [set()] * len(people)
    # Each of these refusals is in the log of the web server.
    assert (
        world.broken(explained=f"{ABOUT_DATABASE}|Service Unavailable: /api/v1/leads/")
        == []
    )
    assert extra_acceptances(world.ledger.entries()) == 0
    told = (
        "the server has let go of the dead connections, of which it allows only so many"
    )
    longest = world.lease_seconds + 1
    wait_for(
        lambda: not world.database_server.forgotten(longest),
        seconds=longest + 2,
        told=told,
    )


@pytest.mark.parametrize(
    "point",
    [
        "answer_read",
        "first_result_row",
        pytest.param(
            "before_commit", marks=[pytest.mark.representative, pytest.mark.sized]
        ),
    ],
)
@pytest.mark.covers("F67")
def test_a_result_that_the_database_did_not_confirm_is_written_on_another_connection_in_time(
    point, world
) -> None:
    company = world.connect()
    rounds = figures.rounds(1, long=10)
    for number in range(rounds):
        make_leads(company, 500, start=500 * number)
        world.arm(point, "SIGSTOP")
        pid = world.deliveries.start(company.pk)
        world.deliveries.wait_until_stopped(pid)
        world.database.silence()
        figures.count("silent cuts of the database")
        os.kill(pid, signal.SIGCONT)

        assert world.deliveries.wait(pid) == 0

    # Before its lease had ended: nothing went out twice.
    assert len(world.ledger.entries()) == rounds
    assert world.broken() == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.covers("F67")
def test_where_new_connections_are_swallowed_too_each_answer_comes_within_10_seconds_and_says_sorry(
    world,
) -> None:
    world.environment["LEADMACHINE_WEB_STATEMENT_SECONDS"] = "8"  # as it is installed
    company = world.connect()
    world.start_web()
    apis = [world.api(company) for _ in range(share_of_company(gunicorn.threads))]
    with ThreadPoolExecutor(len(apis)) as people:
        before = list(people.map(Api.add_lead, apis, named("Before")))
        world.database.trouble = BLACK_HOLE
        figures.count("silent cuts of the database")

        answers = list(people.map(Api.add_lead, apis, named("Meanwhile")))

        world.database.trouble = NONE
        after = list(people.map(Api.add_lead, apis, named("After")))
    assert {answer.status_code for answer in [*before, *after]} == {201}
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        NOTHING_SAVED
    ] * len(answers)
    assert max(answer.elapsed.total_seconds() for answer in answers) <= ANSWER_SECONDS
    assert set(Lead.objects.values_list("first_name", flat=True)) == {"Before", "After"}


def named(name: str) -> Iterator[dict[str, str]]:
    """Fields of new leads with that name."""
    return (
        {"first_name": name, "email": f"{name}{number}@example.com"}
        for number in itertools.count()
    )
