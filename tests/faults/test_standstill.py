"""F69: a thread, a child or the main loop of a worker is stuck. A service that is merely away ends no worker."""

import re
import signal
import time

import psutil
import pytest

from capi.linkedin.failpoints import STAND_STILL
from tests.faults.processes import START_SECONDS, command, wait_for
from tests.faults.standstill import POINT
from tests.faults.test_workers import WORKER_LOST
from tests.faults.world import (
    ABOUT_BROKER,
    ABOUT_DATABASE,
    RECOVERY_SECONDS,
    SMALL,
    make_leads,
)

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

STANDSTILL_SECONDS = 3 * SMALL["SWEEP_SECONDS"]
SHORT = {"LEADMACHINE_STANDSTILL_SECONDS": str(STANDSTILL_SECONDS)}
# capi.delivery.shutdown.seconds().
SHUTDOWN_SECONDS = SMALL["SEND_TIMEOUT_SECONDS"] + 10
STANDS_STILL = r"CRITICAL leadmachine\.watchdog"


def wait_for_the_end_of(world, name: str) -> tuple[int, list[psutil.Process]]:
    """Wait until the worker ends by itself. Returns its exit code, and those of its children that outlived it."""
    children = world.children(name)
    code = world.running[name].wait(STANDSTILL_SECONDS + SHUTDOWN_SECONDS + 10)
    # Not before: a worker that doesn't end by itself is ended with the world.
    del world.running[name]
    _, left = psutil.wait_procs(children, timeout=1)  # SIGKILL takes a moment
    return code, [child for child in left if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.covers("F69")
def test_a_worker_whose_sweep_stands_still_says_where_ends_itself_and_is_followed_by_another(
    world,
) -> None:
    company = world.connect()
    world.start_worker("worker1", **SHORT)
    world.wait_for_worker("worker1")
    world.broker.down()  # so the sweep delivers
    world.arm("after_lease", STAND_STILL)
    make_leads(company, 50)
    world.wait_until_hit("after_lease")

    code, left = wait_for_the_end_of(world, "worker1")
    world.start_worker("worker2", **SHORT)
    # It is ready only when the broker is back.
    wait_for(
        lambda: "Cannot connect to" in world.log("worker2"),
        seconds=START_SECONDS,
        told="worker2 has started",
    )

    world.wait_for_the_end(seconds=RECOVERY_SECONDS + 10)
    assert (code, left) == (70, [])
    [line] = [
        line for line in world.log("worker1").splitlines() if " CRITICAL " in line
    ]
    assert re.search(r"The sweep has been stuck for \d+ seconds", line)
    assert "linkedin/failpoints.py" in line
    assert "delivery/deliver.py" in line
    assert world.broken(explained=f"{STANDS_STILL}|{ABOUT_BROKER}") == []


@pytest.mark.representative
@pytest.mark.covers("F69")
def test_a_child_whose_task_stands_still_is_replaced_and_its_worker_goes_on(
    world,
) -> None:
    company = world.connect()
    world.start_worker("worker1", **SHORT)
    world.wait_for_worker("worker1")
    pid, children = (
        world.running["worker1"].pid,
        {child.pid for child in world.children("worker1")},
    )
    world.arm("after_lease", STAND_STILL)

    make_leads(company, 50)

    world.wait_until_hit("after_lease")
    wait_for(
        lambda: {child.pid for child in world.children("worker1")} - children,
        seconds=STANDSTILL_SECONDS + 10, told="the child is replaced",
    )  # fmt: skip
    world.wait_for_the_end(seconds=RECOVERY_SECONDS + 5)
    assert (world.running["worker1"].pid, world.running["worker1"].poll()) == (
        pid,
        None,
    )
    assert "The task capi.deliver has been stuck" in world.log("worker1")
    assert world.broken(explained=f"{STANDS_STILL}|{WORKER_LOST}") == []


@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.covers("F69")
def test_a_worker_whose_main_loop_stands_still_ends_itself_with_its_children(
    pool, world
) -> None:
    company = world.connect()
    world.start_worker(
        "worker1", "--pool", pool, "--include", "tests.faults.standstill", **SHORT
    )
    world.wait_for_worker("worker1")
    world.arm(POINT)
    world.wait_until_hit(POINT)

    make_leads(company, 50)

    code, left = wait_for_the_end_of(world, "worker1")
    assert (code, left) == (70, [])
    assert "The main loop has been stuck" in world.log("worker1")
    world.start_worker("worker2", **SHORT)
    world.wait_for_worker("worker2")
    world.wait_for_the_end(seconds=RECOVERY_SECONDS + 10)
    assert world.broken(explained=f"{STANDS_STILL}|{WORKER_LOST}") == []


@pytest.mark.covers("F69")
def test_a_web_process_whose_embedded_worker_stands_still_ends_and_gunicorn_starts_another(
    world,
) -> None:
    company = world.connect()
    world.start(
        "web", command("web"), REDIS_URL="", LEADMACHINE_EMBEDDED_WORKER="on", **SHORT
    )
    world.wait_for_web()
    [before] = world.children("web")
    world.arm("after_lease", STAND_STILL)
    make_leads(company, 50)

    world.wait_until_hit("after_lease")

    wait_for(
        lambda: not before.is_running() and world.children("web"),
        seconds=STANDSTILL_SECONDS + SHUTDOWN_SECONDS + 10, told="gunicorn has started another process",
    )  # fmt: skip
    world.wait_for_web()
    world.wait_for_the_end(seconds=RECOVERY_SECONDS + 10)
    assert world.running["web"].poll() is None
    assert world.broken(explained=f"{STANDS_STILL}|exited with code 70") == []


@pytest.mark.covers("F69")
def test_with_database_and_broker_away_for_long_no_worker_ends_itself(world) -> None:
    company = world.connect()
    world.start_worker("worker1", **SHORT)
    world.wait_for_worker("worker1")
    pid, children = (
        world.running["worker1"].pid,
        {child.pid for child in world.children("worker1")},
    )

    world.database.down()
    world.broker.down()
    time.sleep(4 * STANDSTILL_SECONDS)
    world.database.up()
    world.broker.up()

    make_leads(company, 50)
    world.wait_for_the_end()
    assert (world.running["worker1"].pid, world.running["worker1"].poll()) == (
        pid,
        None,
    )
    assert {child.pid for child in world.children("worker1")} == children
    assert world.broken(explained=f"{ABOUT_BROKER}|{ABOUT_DATABASE}") == []


@pytest.mark.covers("F69")
def test_a_worker_that_was_frozen_for_long_goes_on_when_it_wakes(world) -> None:
    company = world.connect()
    world.start_worker("worker1", **SHORT)
    world.wait_for_worker("worker1")

    world.send_signal("worker1", signal.SIGSTOP)
    time.sleep(2 * STANDSTILL_SECONDS)
    world.send_signal("worker1", signal.SIGCONT)

    time.sleep(3)  # three looks of the watchdog
    make_leads(company, 5)
    world.wait_for_the_end()
    assert world.running["worker1"].poll() is None
    # A process frozen in mid-statement, or while connecting, finds on waking that the database has given it up.
    assert world.broken(explained=ABOUT_DATABASE) == []
