"""Real workers, their parents and children, ended in every way: F11, F14 to F17, F19 to F22."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from capi.models import Connection, ConversionEvent
from tests.faults import figures
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.world import (
    ABOUT_BROKER,
    ABOUT_DATABASE,
    RECOVERY_SECONDS,
    SMALL,
    Allowed,
    make_leads,
    timed,
)

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

WORKER_LOST = r"WorkerLostError|exited with|Process 'ForkPoolWorker|signal 9"
SLOW_ANSWER = {"delay_ms": 1000}


@pytest.mark.parametrize("point", ["after_lease", "before_commit"])
@pytest.mark.covers("F11", "F15")
def test_a_worker_killed_whole_with_its_wake_up_is_followed_by_another_in_time(
    point, world
) -> None:
    company = world.connect()
    world.arm(point, "SIGSTOP")
    world.start_worker("worker1", "--pool", "solo")
    world.wait_for_worker("worker1")
    make_leads(company, 1000)
    world.wait_until_hit(point)

    world.kill("worker1")
    world.start_worker("worker2")
    world.wait_for_worker("worker2")

    # The message was lost with the worker that had taken it. Nothing waits for it.
    world.wait_for_the_end(seconds=RECOVERY_SECONDS)
    hidden = 0 if point == "after_lease" else 1
    assert world.broken(Allowed(hidden_answers=hidden)) == []
    assert extra_acceptances(world.ledger.entries()) == 1000 * hidden
    figures.count("kills")


@pytest.mark.covers("F14")
def test_a_child_that_is_killed_is_replaced_and_its_rows_come_back(world) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    world.arm("answer_read")

    make_leads(company, 500)
    world.wait_until_hit("answer_read")
    world.wait_for_the_end()

    wait_for(
        lambda: len(world.children("worker1")) >= 2,
        seconds=5,
        told="the child is replaced",
    )
    assert len(world.ledger.entries()) == 2
    assert world.log("worker1").count("received") < 20
    assert world.broken(Allowed(hidden_answers=1), explained=WORKER_LOST) == []
    figures.count("kills")


@pytest.mark.covers("F16")
def test_on_sigterm_a_worker_finishes_the_request_in_flight_and_ends(world) -> None:
    company = world.connect()
    world.ledger.script(SLOW_ANSWER)
    world.start_worker()
    world.wait_for_worker()
    make_leads(company, 500)
    wait_for(
        lambda: world.ledger.entries(), seconds=10, told="the request is in flight"
    )

    with timed(SMALL["SEND_TIMEOUT_SECONDS"] + 5):
        codes = world.stop(signal.SIGTERM)

    assert codes == {"worker1": 0}
    # Given back, not lapsed.
    assert list(Connection.objects.values_list("lease_id", "leased_until")) == [
        (None, None)
    ]
    assert set(ConversionEvent.objects.values_list("state", flat=True)) == {"accepted"}
    assert world.broken() == []
    figures.count("SIGTERMs")


@pytest.mark.covers("F17")
def test_a_second_sigterm_and_sigquit_end_it_at_once_and_nothing_is_lost(world) -> None:
    company = world.connect()
    for number, second in enumerate([signal.SIGTERM, signal.SIGQUIT]):
        name = f"worker{number}"
        world.ledger.script(SLOW_ANSWER)
        world.start_worker(name)
        world.wait_for_worker(name)
        make_leads(company, 200, start=200 * number)
        before = len(world.ledger.entries())
        wait_for(
            lambda seen=before: len(world.ledger.entries()) > seen,
            seconds=10,
            told="the request is in flight",
        )
        os.kill(world.running[name].pid, signal.SIGTERM)
        time.sleep(0.2)
        os.kill(world.running[name].pid, second)
        world.running[name].wait(10)
        world.kill(name)
        world.let_leases_lapse()
        figures.count("SIGTERMs", 2)

    assert world.deliveries.run(company.pk) == 0

    # Celery logs the last one if the second signal comes while it stops its pool.
    explained = f"{WORKER_LOST}|Task handler raised|SystemExit|Error on stopping Pool"
    assert world.broken(Allowed(hidden_answers=2), explained=explained) == []


@pytest.mark.representative
@pytest.mark.covers("F19")
def test_with_no_wake_up_and_no_scheduler_deliveries_keep_to_their_time(world) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    world.broker.down()  # no wake-up gets through, so the worker's own sweep delivers

    make_leads(company, 20)

    world.wait_for_the_end()
    assert world.broken(explained=ABOUT_BROKER) == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.covers("F20")
def test_a_sweep_that_raises_runs_again(world) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    world.broker.down()
    with without_table("capi_conversionrule"):
        wait_for(
            lambda: "The sweep failed" in world.log("worker1"),
            seconds=10,
            told="a sweep has raised",
        )

    make_leads(company, 5)

    with timed(2 * SMALL["SWEEP_SECONDS"] + 1):
        world.wait_for_the_end()
    assert world.running["worker1"].poll() is None
    assert (
        world.broken(
            explained=f"{ABOUT_BROKER}|{ABOUT_DATABASE}|ProgrammingError|could not be evaluated"
        )
        == []
    )


@contextmanager
def without_table(name: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO away")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE away RENAME TO {name}")


@pytest.mark.covers("F20")
def test_a_sweep_that_waits_for_a_lock_holds_only_itself_up(world) -> None:
    company, other = (
        world.connect(),
        world.connect("contoso", token="AQV-the-token-of-contoso-0001"),
    )
    world.start_worker()
    world.wait_for_worker()
    world.broker.down()
    with transaction.atomic():
        Connection.objects.select_for_update().get(company=company)
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE capi_conversionrule IN ACCESS EXCLUSIVE MODE")
        make_leads(company, 5)
        make_leads(other, 5)
        time.sleep(2 * SMALL["SWEEP_SECONDS"])

    with timed(2 * SMALL["SWEEP_SECONDS"] + 1):
        world.wait_for_the_end()
    assert world.broken(explained=f"{ABOUT_BROKER}|{ABOUT_DATABASE}") == []


@pytest.mark.covers("F21")
def test_a_worker_whose_broker_connection_is_cut_20_times_consumes_again(world) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    for number in range(figures.rounds(20, long=160)):
        world.broker.reset()
        make_leads(company, 5, start=5 * number)
        time.sleep(0.05)
        figures.count("broker faults")

    world.wait_for_the_end()

    world.wait_until_heard(company)
    assert world.broken(explained=ABOUT_BROKER) == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.covers("F22")
def test_rows_that_were_due_long_before_the_start_are_all_taken_with_the_first_sweep(
    world,
) -> None:
    company = world.connect()
    world.broker.down()
    make_leads(company, 300)
    ConversionEvent.objects.update(next_attempt_at=Now() - timedelta(hours=6))
    world.stop_forking()  # loading needs no broker either

    world.start_worker()

    wait_for(
        lambda: "celery@" in world.log("worker1") or world.ledger.entries(),
        seconds=15,
        told="it starts",
    )
    world.wait_for_the_end(seconds=SMALL["SWEEP_SECONDS"] + 3)
    assert world.broken(explained=ABOUT_BROKER) == []
