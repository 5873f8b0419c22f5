"""Connections to PostgreSQL that die without a word, no FIN and no RST, while new ones work: F67."""

import pytest

from tests.faults import figures
from tests.faults.cuts import cut_under_load
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.world import ABOUT_DATABASE, SORRY

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def test_f67_silent_cuts_under_load_cost_seconds_and_the_same_processes_go_on(world) -> None:
    rounds = figures.rounds(2, long=40)

    people = cut_under_load(world, world.database.silence, rounds=rounds, what="silent cuts of the database")

    assert all(answer == (500, SORRY) for person in people for answer in person.refused)
    # Each of those is in the log of the web server.
    assert world.broken(explained=f"{ABOUT_DATABASE}|Internal Server Error: /api/v1/leads/") == []
    assert extra_acceptances(world.ledger.entries()) == 0
    told = "the server has let go of the dead connections, of which it allows only so many"
    longest = world.lease_seconds + 1
    wait_for(lambda: not world.database_server.forgotten(longest), seconds=longest + 2, told=told)
