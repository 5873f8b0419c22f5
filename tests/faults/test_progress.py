"""/progressz is red while nothing gets to LinkedIn though each process lives, and green again by itself (F78)."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from capi.models import Connection
from tests.faults.processes import wait_for
from tests.faults.proxy import drip
from tests.faults.world import SMALL, World, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

# Until a probe a moment later: what has to be late, and the longest that a probe itself may take.
RED_SECONDS = SMALL["PROGRESS_SECONDS"] + SMALL["WEB_STATEMENT_SECONDS"] + 5
GREEN_SECONDS = 60  # a worker may have to start on a loaded machine


def probe(world: World) -> tuple[int, list[str]]:
    answer = requests.get(f"{world.url}/progressz", timeout=30)
    return answer.status_code, answer.json().get("problems", [])


def wait_until_green(world: World) -> None:
    wait_for(
        lambda: probe(world) == (200, []), seconds=GREEN_SECONDS, told="it is green"
    )


def wait_until_red(world: World, problem: str) -> None:
    def is_red() -> bool:
        status, problems = probe(world)
        return status == 503 and any(problem in each for each in problems)

    wait_for(is_red, seconds=RED_SECONDS, told=f"it says: {problem}")


@contextmanager
def stopped_worker(world: World) -> Iterator[None]:
    world.kill("worker1")
    yield
    world.start_worker()


@contextmanager
def frozen_worker(world: World) -> Iterator[None]:
    world.send_signal("worker1", signal.SIGSTOP)
    yield
    world.send_signal("worker1", signal.SIGCONT)


@contextmanager
def frozen_broker(world: World) -> Iterator[None]:
    world.broker_server.freeze()
    yield
    world.broker_server.thaw()


@contextmanager
def slow_database(world: World) -> Iterator[None]:
    world.database.trouble = drip(0.05)
    yield
    world.database.up()


@contextmanager
def no_linkedin(world: World) -> Iterator[None]:
    world.linkedin.down()
    make_leads(Connection.objects.get().company, 3)
    yield
    world.linkedin.up()


@contextmanager
def stuck_lease(world: World) -> Iterator[None]:
    """Some process has the lane, and neither sends nor ends."""
    day = timedelta(days=1)
    lane = Connection.objects.all()
    lane.update(
        lease_id="5" * 8 + "-5555-4555-8555-" + "5" * 12, leased_until=Now() + day
    )
    make_leads(lane.get().company, 3)
    yield
    lane.update(leased_until=F("leased_until") - 2 * day)


@contextmanager
def retired_version(world: World) -> Iterator[None]:
    world.ledger.script({"status": 426})
    make_leads(Connection.objects.get().company, 3)
    yield
    # The operator has set another version, which LinkedIn's stand-in serves.
    world.kill("worker1")
    world.start_worker(LINKEDIN_API_VERSION="202608")


@contextmanager
def full_disk(world: World) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON capi_heartbeat EXECUTE FUNCTION refuse()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")


FAULTS = {
    stopped_worker: "No worker has checked",
    frozen_worker: "No worker has checked",
    frozen_broker: "Redis does not answer",
    slow_database: "The database",
    no_linkedin: "LinkedIn can't be reached",
    stuck_lease: "Events are due",
    retired_version: "LinkedIn has retired",
    full_disk: "No worker has checked",
}


@pytest.mark.thorough
@pytest.mark.covers("F78")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_it_is_red_during_a_fault_and_green_after_it(world: World, fault: Any) -> None:
    world.connect()
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    wait_until_green(world)

    with fault(world):
        wait_until_red(world, FAULTS[fault])

    world.wait_for_the_end(seconds=GREEN_SECONDS)
    wait_until_green(world)
