"""The broker and the database come and go: F23 to F27, F29, F63."""

import itertools
import os
import signal
import time

import pytest
from django.db import connection

from capi.delivery.wakeup import publisher
from capi.models import Attempt, Connection, ConversionEvent, EarlierAttempt
from crm.models import Lead
from tests.faults import figures
from tests.faults.invariants import broken, extra_acceptances
from tests.faults.processes import command, wait_for
from tests.faults.proxy import BLACK_HOLE
from tests.faults.servers import can_restart_database
from tests.faults.world import (
    ABOUT_BROKER,
    ABOUT_DATABASE,
    SORRY,
    Allowed,
    Saver,
    make_leads,
)

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

needs_own_database = pytest.mark.skipif(
    not can_restart_database(),
    reason="DATABASE_URL names a PostgreSQL that is not ours to restart",
)
EXPLAINED = f"{ABOUT_BROKER}|{ABOUT_DATABASE}"


@pytest.mark.covers("F23")
def test_1000_wake_ups_are_flushed_and_all_is_delivered_in_time(world) -> None:
    companies = [
        world.connect(f"company-{n}", token=f"AQV-the-token-of-company-{n}")
        for n in range(20)
    ]
    world.start_worker()
    world.wait_for_worker()
    world.send_signal("worker1", signal.SIGSTOP)
    for company in companies:
        make_leads(company, 50)
        world.queue_wake_ups(company, 50)
    with world.broker_server.client() as client:
        # The worker's last read was still waiting, and may have taken some.
        assert client.llen(world.queue) >= 990
        client.flushall()
    figures.count("broker faults")

    world.send_signal("worker1", signal.SIGCONT)

    world.wait_for_the_end()
    assert extra_acceptances(world.ledger.entries()) == 0
    world.wait_until_heard(companies[0])
    # A process frozen in the middle of a statement finds on waking that the database has given it up.
    assert world.broken(explained=ABOUT_DATABASE) == []


@pytest.mark.covers("F24")
def test_a_broker_that_is_restarted_empty_10_times_under_load_loses_nothing(
    world,
) -> None:
    company = world.connect()
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    api = world.api(company)
    statuses = []
    for number in range(figures.rounds(10, long=130)):
        world.broker_server.restart()
        statuses += [api.save_lead(10 * number + n)[0] for n in range(10)]
        figures.count("broker faults")

    world.wait_for_the_end()

    assert set(statuses) == {201}
    assert world.broken(explained=ABOUT_BROKER) == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.covers("F24")
def test_a_broker_that_freezes_or_swallows_everything_holds_no_delivery_up(
    world,
) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    world.broker_server.freeze()
    try:
        make_leads(company, 20)
        world.wait_for_the_end()
    finally:
        world.broker_server.thaw()
    world.broker.trouble = BLACK_HOLE

    make_leads(company, 20, start=20)

    world.wait_for_the_end()
    figures.count("broker faults", 2)
    assert world.broken(explained=ABOUT_BROKER) == []


@needs_own_database
@pytest.mark.parametrize("mode", ["fast", "immediate", "end connections"])
@pytest.mark.covers("F25")
def test_a_database_that_goes_in_mid_delivery_is_found_again_by_the_workers(
    mode, world
) -> None:
    world.database_server.keep_commits()
    company = world.connect()
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    rounds = figures.rounds(2, long=34)
    with Saver(world.api(company)) as person:
        for number in range(rounds):
            world.ledger.script({"delay_ms": 300})
            make_leads(company, 500, start=500 * number)
            time.sleep(0.1 * (number % 4))
            before = len(person.saved)
            if mode == "end connections":
                world.database_server.end_connections()
            else:
                world.database_server.restart(mode)
            figures.count("database restarts")
            wait_for(
                lambda before=before: len(person.saved) > before + 5,
                seconds=10,
                told="people can save again",
            )

    world.wait_for_the_end(seconds=30)

    assert person.lost == set()
    assert all(answer in SORRY for answer in person.refused)
    assert person.saved_all_the_same == set()
    assert Lead.objects.count() >= 500 * rounds + len(person.saved)
    # Each of them is in `refused`.
    explained = f"{EXPLAINED}|Service Unavailable: /api/v1/leads/"
    assert world.broken(Allowed(hidden_answers=rounds), explained=explained) == []


@pytest.mark.covers("F26")
def test_a_result_is_written_once_the_database_is_back_within_the_lease(world) -> None:
    company = world.connect()
    rounds = figures.rounds(2, long=50)
    for number in range(rounds):
        make_leads(company, 500, start=500 * number)
        world.arm("answer_read", "SIGSTOP")
        pid = world.deliveries.start(company.pk)
        world.deliveries.wait_until_stopped(pid)
        world.database.down()
        signal_continue(pid)
        time.sleep(1)
        world.database.up()

        assert world.deliveries.wait(pid) == 0
        figures.count("database faults")

    assert len(world.ledger.entries()) == rounds
    assert world.broken() == []
    assert extra_acceptances(world.ledger.entries()) == 0


@needs_own_database
@pytest.mark.covers("F26")
def test_a_result_is_written_once_a_standby_that_answers_has_been_promoted(
    world,
) -> None:
    company = world.connect()
    make_leads(company, 500)
    world.arm("answer_read", "SIGSTOP")
    pid = world.deliveries.start(company.pk)
    world.deliveries.wait_until_stopped(pid)
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        world.database_server.end_connections()
        try:
            signal_continue(pid)
            time.sleep(1)
        finally:
            cursor.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    world.database_server.end_connections()

    assert world.deliveries.wait(pid) == 0
    assert len(world.ledger.entries()) == 1
    assert world.broken() == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.covers("F26")
def test_a_database_that_stays_away_past_the_lease_costs_one_batch_sent_again(
    world,
) -> None:
    company = world.connect()
    make_leads(company, 500)
    world.arm("answer_read", "SIGSTOP")
    pid = world.deliveries.start(company.pk)
    world.deliveries.wait_until_stopped(pid)
    world.database.down()
    signal_continue(pid)

    # It has given up.
    assert world.deliveries.wait(pid, seconds=world.lease_seconds + 5) == 1
    world.database.up()
    world.let_leases_lapse()
    assert world.deliveries.run(company.pk) == 0

    figures.count("database faults")
    assert extra_acceptances(world.ledger.entries()) == 500
    assert world.broken(Allowed(hidden_answers=1), explained=ABOUT_DATABASE) == []


def signal_continue(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


@pytest.mark.representative
@pytest.mark.covers("F20", "F27")
def test_each_kind_of_broken_row_is_set_aside_and_the_others_go_in_the_same_run(
    world,
) -> None:
    company = world.connect()
    make_leads(company, 50)
    events = list(ConversionEvent.objects.order_by("pk").values_list("pk", flat=True))
    breakages = [
        "UPDATE crm_lead SET email = '' WHERE id = (SELECT lead_id FROM capi_conversionevent WHERE id = %s)",
        "UPDATE crm_lead SET email = repeat('a', 64) WHERE id = "
        "(SELECT lead_id FROM capi_conversionevent WHERE id = %s)",  # a hash already
        "UPDATE capi_conversionevent SET lead_id = NULL WHERE id = %s",
        "UPDATE capi_conversionevent SET happened_at = '0044-03-15' WHERE id = %s",
        "UPDATE capi_conversionevent SET happened_at = happened_at - interval '91 days' WHERE id = %s",
        # No time that Python knows.
        "UPDATE capi_conversionevent SET happened_at = '-infinity' WHERE id = %s",
        "UPDATE capi_conversionevent SET happened_at = '0044-03-15 BC' WHERE id = %s",
    ]
    with connection.cursor() as cursor:
        for event, breakage in zip(events, breakages, strict=False):
            cursor.execute(breakage, [event])

    world.deliveries.run(company.pk)

    states = list(
        ConversionEvent.objects.order_by("pk").values_list("state", flat=True)
    )
    assert states == [
        "waiting",
        "waiting",
        "cancelled",
        *["expired"] * 4,
        *["accepted"] * 43,
    ]
    assert [len(entry.elements) for entry in world.ledger.entries()] == [43]
    assert world.broken(Allowed(open_events=True)) == []


@pytest.mark.covers("F29")
def test_a_database_restored_from_an_older_dump_sends_again_under_the_same_ids(
    world,
) -> None:
    company = world.connect()
    make_leads(company, 100)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE dump AS SELECT * FROM capi_conversionevent")
    world.deliveries.run(company.pk)

    with connection.cursor() as cursor:
        EarlierAttempt.objects.all().delete()
        ConversionEvent.objects.all().delete()
        Attempt.objects.all().delete()
        cursor.execute("INSERT INTO capi_conversionevent SELECT * FROM dump")
        cursor.execute("DROP TABLE dump")
    world.deliveries.run(company.pk)

    first, second = world.ledger.entries()
    assert first.elements == second.elements
    assert world.broken(Allowed(hidden_answers=1)) == []


@needs_own_database
@pytest.mark.covers("F63")
def test_a_power_cut_of_everything_and_a_start_in_any_order(world) -> None:
    world.database_server.keep_commits()
    world.stop_forking()  # loading needs neither of them
    orders = list(itertools.permutations(["database", "broker", "web", "worker"]))
    with figures.chance(figures.SEED) as chance:
        chance.shuffle(orders)
        company = world.connect()
        api = world.api(company)
        rounds = min(figures.rounds(2, long=24), len(orders))
        for name in ("web", "worker"):
            start(world, name)
        lost: set[str] = set()
        for number, order in enumerate(orders[:rounds]):
            world.wait_for_web()
            with Saver(api, start=10_000 * number) as person:
                wait_for(
                    lambda person=person: len(person.saved) > 20,
                    seconds=20,
                    told="a cut meets people who save",
                )
                publisher.flush(1)
                cut_the_power(world)
            for name in order:
                start(world, name)
                time.sleep(0.3)
            figures.count("power cuts")

            wait_for_database()
            world.wait_for_the_end(seconds=40)
            lost |= person.lost
        assert lost == set()
        assert ConversionEvent.objects.filter(state="accepted").count() >= rounds
        assert broken(world.ledger.entries(), Allowed(hidden_answers=rounds)) == []


def cut_the_power(world) -> None:
    world.broker_server.kill()
    world.database_server.kill()
    world.kill("web", "worker")


def start(world, name: str) -> None:
    if name == "database":
        world.database_server.start()
    elif name == "broker":
        world.broker_server.start()
    elif name == "web":
        world.start("web", command("web"))
    else:
        world.start_worker("worker")


def wait_for_database() -> None:
    connection.close()
    assert Connection.objects.exists()
