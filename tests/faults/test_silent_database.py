"""Connections to PostgreSQL that die without a word, no FIN and no RST, while new ones work: F67."""

import time

import pytest
from django.db.models import Max

from capi.models import ConversionEvent
from capi.reasons import OPEN_STATES
from tests.faults import figures
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.world import ABOUT_DATABASE, RECOVERY_SECONDS, SORRY, Saver, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

ANSWER_SECONDS = 10  # in which the web has to answer, whatever the database does
# Each failed save is in `refused`.
EXPLAINED = f"{ABOUT_DATABASE}|Internal Server Error: /api/v1/leads/"


@pytest.mark.timeout(1800)
def test_f67_silent_cuts_under_load_cost_seconds_and_the_same_processes_go_on(world) -> None:
    company = world.connect()
    world.start_web()
    for name in ("worker1", "worker2"):
        world.start_worker(name)
        world.wait_for_worker(name)
    pids = world.pids()
    api = world.api(company)
    rounds = figures.rounds(2, long=40)
    with Saver(api) as person, Saver(api, start=1_000_000) as colleague:
        for number in range(rounds):
            make_leads(company, 200, start=200 * number)
            time.sleep(0.1 * (number % 5))
            newest = ConversionEvent.objects.aggregate(newest=Max("pk"))["newest"]
            before = len(person.saved), len(colleague.saved)

            assert world.database.silence() > 0

            figures.count("silent cuts of the database")
            wait_for(
                lambda before=before: len(person.saved) > before[0] + 5 and len(colleague.saved) > before[1] + 5,
                seconds=ANSWER_SECONDS,
                told="people can save again",
            )
            due_before = ConversionEvent.objects.filter(pk__lte=newest, state__in=OPEN_STATES)
            wait_for(
                lambda due_before=due_before: not due_before.exists(),
                seconds=RECOVERY_SECONDS + 2,
                told=f"what was due at the cut is delivered (I7), round {number}",
            )

    world.wait_for_the_end()

    assert world.pids() == pids
    assert max(person.slowest, colleague.slowest) <= ANSWER_SECONDS
    assert person.lost | colleague.lost == set()
    assert all(answer == (500, SORRY) for answer in [*person.refused, *colleague.refused])
    assert world.broken(explained=EXPLAINED) == []
    assert extra_acceptances(world.ledger.entries()) == 0
