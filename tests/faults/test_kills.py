"""A process that dies or freezes in mid-delivery loses nothing, wherever it happens (F11, F12, F13)."""

import os
import signal
import time
from datetime import timedelta

import pytest

from capi.linkedin.failpoints import POINTS
from capi.models import Attempt, Connection, ConversionEvent
from capi.models.choices import OPEN_STATES
from tests.faults import figures
from tests.faults.invariants import Allowed, extra_acceptances
from tests.faults.processes import as_environment, wait_for
from tests.faults.world import make_leads
from tests.size import sized

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

DELIVERY_POINTS = POINTS[2:]
# Up to here LinkedIn can't have taken anything, and from "after_commit" on our books know of it.
NOTHING_HIDDEN = {"after_lease", "after_connect", "half_body_sent", "after_commit"}


@pytest.mark.parametrize("point", DELIVERY_POINTS)
@pytest.mark.covers("F11")
def test_killed_at_each_point_with_a_batch_of_5000_in_flight(point, world) -> None:
    company = world.connect()
    sizes = [5000, *[500] * (figures.rounds(2, long=40) - 1)]
    for number, size in enumerate(sizes):
        make_leads(company, size, start=5000 * number)
        world.arm(point)

        assert world.deliveries.run(company.pk) == -signal.SIGKILL

        world.let_leases_lapse()
        assert world.deliveries.run(company.pk) == 0
        figures.count("kills")
    hidden = 0 if point in NOTHING_HIDDEN else len(sizes)
    assert world.broken(Allowed(hidden_answers=hidden)) == []
    assert extra_acceptances(world.ledger.entries()) == (sum(sizes) if hidden else 0)
    assert ConversionEvent.objects.filter(state="accepted").count() == sum(sizes)


KILLS = sized(44, small=8)  # at random times in each round


@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.covers("F11")
def test_killed_at_random_times(world) -> None:
    company = world.connect()
    whole = how_long_one_takes(world, company)
    kills, number = 0, 1
    for round_number, seed in enumerate(figures.seeds(figures.rounds(1, long=15)), 1):
        with figures.chance(seed) as chance:
            while kills < KILLS * round_number:
                make_leads(company, 50, start=50 * number)
                pid = world.deliveries.start(company.pk)
                time.sleep(chance.uniform(0.0, whole))
                os.kill(pid, signal.SIGKILL)
                # It may have come to its end before.
                kills += world.deliveries.wait(pid) == -signal.SIGKILL
                world.let_leases_lapse()
                number += 1

            deliver_the_rest(world, company)

            assert world.broken(Allowed(hidden_answers=kills)) == []
    figures.count("kills", kills)
    figures.count("extra acceptances", extra_acceptances(world.ledger.entries()))


def deliver_the_rest(world, company) -> None:
    """Deliver all. What the last killed process sent may still reach the database: then wait for its lease to lapse."""

    def is_delivered() -> bool:
        assert world.deliveries.run(company.pk) == 0
        return not ConversionEvent.objects.filter(state__in=OPEN_STATES).exists()

    wait_for(is_delivered, seconds=world.lease_seconds + 5, told="all events are sent")


def how_long_one_takes(world, company) -> float:
    # The first one waits until the server that forks them is up.
    world.deliveries.run(company.pk)
    make_leads(company, 50)
    start = time.monotonic()
    world.deliveries.run(company.pk)
    return time.monotonic() - start


@pytest.mark.parametrize("point", ["body_sent", "answer_read", "first_result_row"])
@pytest.mark.covers("F12")
def test_a_worker_that_wakes_up_after_its_lease_changes_nothing(point, world) -> None:
    company = world.connect()
    rounds = figures.rounds(1, long=17)
    for number in range(rounds):
        make_leads(company, 200, start=200 * number)
        world.arm(point, "SIGSTOP")
        zombie = world.deliveries.start(company.pk)
        world.deliveries.wait_until_stopped(zombie)
        if point == "first_result_row":
            # Frozen inside its transaction it holds the lane's row, until the database ends its session.
            time.sleep(world.lease_seconds + 0.5)
        world.let_leases_lapse()
        assert world.deliveries.run(company.pk) == 0
        settled = after_the_second(company)

        os.kill(zombie, signal.SIGCONT)
        world.deliveries.wait(zombie)

        assert after_the_second(company) == settled
        figures.count("zombies")
    explained = r"terminating connection|InterfaceError|OperationalError"
    assert world.broken(Allowed(hidden_answers=rounds), explained=explained) == []


def after_the_second(company):
    events = ConversionEvent.objects.order_by("pk").values_list(
        "pk", "state", "attempts", "last_attempt_id"
    )
    lane = Connection.objects.filter(company=company).values_list(
        "lease_id", "leased_until", "next_attempt_at"
    )
    return list(events), list(lane), Attempt.objects.count()


HELD_SECONDS = 2


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.covers("F13")
def test_workers_that_race_for_the_20000_rows_of_8_companies_claim_nothing_twice_and_all_have_a_share(
    count, world
) -> None:
    companies = [
        world.connect(f"company-{n}", token=f"AQV-the-token-of-company-{n}")
        for n in range(8)
    ]
    for company in companies:
        make_leads(company, 2500)
    # A worker makes one request at a time. Each is held up until all have made their first, so all have a share.
    # No worker dies here, so a lease may last: a statement may take half of it, and eight workers share few cores.
    world.environment |= as_environment(
        {"SEND_TIMEOUT_SECONDS": 2 * HELD_SECONDS, "LEASE_SECONDS": 30}
    )
    world.ledger.script({"delay_ms": 1000 * HELD_SECONDS, "times": count})
    pks = [company.pk for company in companies]
    with figures.chance(figures.SEED) as chance:
        pids = [world.deliveries.start(*chance.sample(pks, k=8)) for _ in range(count)]
        codes = [world.deliveries.wait(pid) for pid in pids]

        assert codes == [0] * count
        # What a delivery left because another one held the lane.
        world.deliveries.run(*pks)
        assert world.broken() == []
        requests = world.ledger.entries()
        assert extra_acceptances(requests) == 0
        assert ConversionEvent.objects.filter(state="accepted").count() == 20_000
        held = [request.time for request in requests if request.fault]
        assert len(held) == count
        assert max(held) - min(held) < timedelta(seconds=HELD_SECONDS)
    figures.count("racing workers", count)
