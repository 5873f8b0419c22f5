"""Between a save and the wake-up of a worker: F01 to F05, F07, F09, F10."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import quantiles

import pytest
from django.db import connection, transaction

from capi.models import ConversionEvent
from crm.models import CrmEvent, Lead, LeadStatus
from tests.conftest import make_lead
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.proxy import BLACK_HOLE, REFUSE
from tests.faults.world import ABOUT_BROKER, MAY_BE_SAVED, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("trouble", ["down", "refuse", "black hole"])
@pytest.mark.covers("F01", "F02")
def test_200_leads_are_saved_in_time_while_the_broker_is_gone_and_delivered_in_time(
    trouble, world
) -> None:
    company = world.connect()
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    api = world.api(company)
    # The first request of a web process takes longer, whatever the broker does.
    api.save_lead(200)
    if trouble == "down":
        world.broker.down()
    else:
        world.broker.trouble = REFUSE if trouble == "refuse" else BLACK_HOLE
        world.broker.reset()

    answers = [api.save_lead(number) for number in range(200)]

    assert {status for status, _ in answers} == {201}
    seconds = [took for _, took in answers]
    assert max(seconds) <= 1
    assert quantiles(seconds, n=100)[98] <= 1
    assert ConversionEvent.objects.count() == 201
    figures.count("broker faults")
    # The sweep needs no broker. Once the broker is back, nothing has to be restarted or done manually.
    world.wait_for_the_end()
    world.broker.up()
    api.save_lead(201)
    world.wait_for_the_end()
    assert world.broken(explained=ABOUT_BROKER) == []


@pytest.mark.parametrize(
    "trouble", ["read-only", "out of memory", "wrong password", "unable to save"]
)
@pytest.mark.covers("F03")
def test_a_broker_that_refuses_to_write_holds_nothing_up_and_is_told_of_once(
    trouble, world, broker
) -> None:
    company = world.connect()
    world.start_web()
    api = world.api(company)
    api.save_lead(0)
    with refusing(broker, trouble):
        world.broker.reset()
        answers = [api.save_lead(number) for number in range(1, 40)]
        time.sleep(0.5)

    assert {status for status, _ in answers} == {201}
    assert max(took for _, took in answers) <= 1
    assert world.log("web").count("The broker can't be reached") == 1
    figures.count("broker faults")
    world.start_worker()
    world.wait_for_worker()
    world.wait_for_the_end()
    assert world.broken(explained=ABOUT_BROKER) == []


@contextmanager
def refusing(broker, trouble: str) -> Iterator[None]:
    """The broker answers, but accepts nothing."""
    if trouble == "unable to save":
        with broker.unable_to_save():
            yield
        return
    name, bad, good = {
        "read-only": ("min-replicas-to-write", 1, 0),
        "out of memory": ("maxmemory", 1, 0),
        "wrong password": ("requirepass", "secret", ""),
    }[trouble]
    with broker.client() as client:
        client.config_set(name, bad)
        try:
            yield
        finally:
            client.config_set(name, good)


@pytest.mark.covers("F04")
def test_killed_between_commit_and_wake_up_the_sweep_finds_the_event(world) -> None:
    company = world.connect()
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    rounds = figures.rounds(3, long=30)
    for number in range(rounds):
        world.arm("before_wake")
        with pytest.raises(OSError):  # noqa: PT011 - the connection ends with the process, in one way or another
            world.api(company).save_lead(number)
        assert not world.is_armed("before_wake")
        world.wait_for_web()
        figures.count("kills of a web server")

    world.wait_for_the_end()

    assert (
        Lead.objects.count()
        == ConversionEvent.objects.filter(state="accepted").count()
        == rounds
    )
    assert world.broken(explained="was sent SIGKILL") == []


@pytest.mark.covers("F05")
def test_killed_before_commit_there_is_neither_lead_nor_event_nor_request(
    world,
) -> None:
    company = world.connect()
    world.start_web()
    for number in range(figures.rounds(3, long=30)):
        world.arm("planned")
        with pytest.raises(OSError):  # noqa: PT011 - as above
            world.api(company).save_lead(number)
        assert not world.is_armed("planned")
        world.wait_for_web()
        figures.count("kills of a web server")

    assert world.deliveries.run(company.pk) == 0

    assert (
        Lead.objects.count(),
        CrmEvent.objects.count(),
        ConversionEvent.objects.count(),
    ) == (0, 0, 0)
    assert world.ledger.entries() == []
    assert world.broken(explained="was sent SIGKILL") == []


@pytest.mark.covers("F06")
def test_a_backend_that_dies_during_the_commit_leaves_both_lead_and_event_or_neither(
    world,
) -> None:
    company = world.connect()
    world.start_web()
    api = world.api(company)
    statuses = []
    for number in range(figures.rounds(10, long=100)):
        stop = threading.Timer(0.002 * (number % 10), end_connections, [world])
        stop.start()
        status, _ = api.save_lead(number)
        stop.join()
        statuses.append(status)

    assert set(statuses) <= {201, 503}
    assert (
        Lead.objects.count()
        == CrmEvent.objects.count()
        == ConversionEvent.objects.count()
    )
    assert Lead.objects.count() >= statuses.count(201)
    world.deliveries.run(company.pk)
    assert (
        world.broken(
            explained=r"Service Unavailable|OperationalError|terminating connection|on_commit"
        )
        == []
    )


@pytest.mark.parametrize("cut", ["backend", "answer"])
@pytest.mark.covers("F06")
def test_a_commit_that_is_cut_off_before_or_after_it_took_effect_is_told_as_not_known(
    cut, world
) -> None:
    company = world.connect()
    world.start_web()
    api = world.api(company)
    rounds = figures.rounds(2, long=20)
    answers = []
    with world.database_server.slow_commits("crm_lead"), ThreadPoolExecutor(1) as pool:
        for number in range(rounds):
            saving = pool.submit(
                api.add_lead, {"first_name": "Ada", "email": f"ada{number}@example.com"}
            )
            wait_for(
                world.database_server.commits,
                seconds=10,
                told="a COMMIT has begun",
                every=0.01,
            )
            if cut == "backend":
                world.database_server.end_connections()
            else:
                world.database.trouble = BLACK_HOLE
                wait_for(
                    lambda: not world.database_server.commits(),
                    seconds=5,
                    told="it has taken effect",
                )
                time.sleep(0.1)
                world.database.reset()
                world.database.up()
            answers.append(saving.result())
            figures.count("commits cut off")

    assert [(answer.status_code, answer.json()) for answer in answers] == [
        MAY_BE_SAVED
    ] * rounds
    there = 0 if cut == "backend" else rounds
    assert (
        Lead.objects.count(),
        CrmEvent.objects.count(),
        ConversionEvent.objects.count(),
    ) == (there, there, there)
    world.deliveries.run(company.pk)
    assert ConversionEvent.objects.filter(state="accepted").count() == there
    assert world.broken(explained=r"Service Unavailable: /api/v1/leads/") == []


def end_connections(world) -> None:
    try:
        world.database_server.end_connections()
        figures.count("killed backends")
    finally:
        connection.close()


@pytest.mark.representative
@pytest.mark.covers("F07")
def test_a_savepoint_that_is_rolled_back_takes_its_event_with_it(world) -> None:
    company = world.connect(rules=("lead_created", "lead_qualified"))
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")

    with transaction.atomic():
        lead = make_lead(company)
        with pytest.raises(RuntimeError), transaction.atomic():
            make_lead(company, first_name="Grace", email="grace@example.com")
            raise RuntimeError
        with pytest.raises(RuntimeError), transaction.atomic():
            Lead.objects.filter(pk=lead.pk).update(status=qualified)
            raise RuntimeError
        with pytest.raises(RuntimeError), transaction.atomic():
            make_leads(company, 3)
            raise RuntimeError

    world.deliveries.run(company.pk)
    assert [event.lead_id for event in ConversionEvent.objects.all()] == [lead.pk]
    assert [len(entry.elements) for entry in world.ledger.entries()] == [1]
    assert world.broken() == []


@pytest.mark.covers("F09")
def test_a_transaction_that_commits_late_with_a_lower_id_is_delivered_all_the_same(
    world,
) -> None:
    company = world.connect()
    early = threading.Event()
    late = threading.Event()

    def hold_open() -> None:
        with transaction.atomic():
            make_lead(company, first_name="Early", email="early@example.com")
            early.set()
            assert late.wait(10)
        connection.close()

    thread = threading.Thread(target=hold_open)
    thread.start()
    assert early.wait(10)
    make_lead(company, first_name="Late", email="late@example.com")
    world.deliveries.run(company.pk)
    assert [
        event.lead.first_name
        for event in ConversionEvent.objects.filter(state="accepted")
    ] == ["Late"]

    late.set()
    thread.join()
    world.deliveries.run(company.pk)

    first, second = ConversionEvent.objects.order_by("pk")
    assert first.lead.first_name == "Early"
    assert (first.state, second.state) == ("accepted", "accepted")
    assert world.broken() == []


@pytest.mark.covers("F10")
def test_wake_ups_that_come_early_twice_or_long_after_make_no_extra_request(
    world,
) -> None:
    company = world.connect()
    with transaction.atomic():
        make_lead(company)
        world.deliveries.run(company.pk)  # the row can't be seen yet
        assert world.ledger.entries() == []

    pids = [world.deliveries.start(company.pk) for _ in range(4)]
    assert [world.deliveries.wait(pid) for pid in pids] == [0] * 4
    # Done long ago, and a company that never was.
    assert world.deliveries.run(company.pk, 10**9) == 0

    assert len(world.ledger.entries()) == 1
    assert world.broken() == []


@pytest.mark.covers("F10")
def test_a_queue_full_of_old_wake_ups_is_worked_off_without_a_request(world) -> None:
    company = world.connect()
    make_lead(company)
    world.deliveries.run(company.pk)
    world.queue_wake_ups(company, 200)
    world.start_worker()
    world.wait_for_worker()

    with world.broker_server.client() as client:
        wait_for(
            lambda: client.llen(world.queue) == 0, seconds=20, told="the queue is empty"
        )

    world.wait_for_the_end()
    assert len(world.ledger.entries()) == 1
    assert world.broken() == []
