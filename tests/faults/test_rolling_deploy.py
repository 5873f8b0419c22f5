"""Code of two versions at once, as while a new one is rolled out: new columns, new and unknown messages (F18)."""

import json

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from capi.models import Connection
from leadmachine.celery import app
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.world import make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

# The previous version's code. Once an application has a second migration, name the one before its newest here.
BEFORE = [("capi", "0001_initial"), ("crm", "0001_initial")]
TABLES = (
    "crm_lead",
    "crm_crmevent",
    "capi_connection",
    "capi_conversionrule",
    "capi_conversionevent",
    "capi_attempt",
)
REFUSED = r"unregistered task|Unknown message|TypeError|not understood|decode|Unrecoverable|ContentDis"


@pytest.fixture
def columns_of_tomorrow():
    """Yields a function that adds them; they are dropped after the test."""
    yield lambda: alter("ADD COLUMN of_tomorrow integer NOT NULL DEFAULT 7")
    alter("DROP COLUMN IF EXISTS of_tomorrow")


def alter(change: str) -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} {change}")


@pytest.mark.covers("F18")
def test_workers_go_on_while_a_migration_adds_columns_that_their_code_does_not_know(
    world, columns_of_tomorrow
) -> None:
    company = world.connect()
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    api = world.api(company)
    statuses = []
    for number in range(60):
        if number == 30:
            make_leads(company, 2_000, start=1_000)
            columns_of_tomorrow()
        statuses.append(api.save_lead(number)[0])

    world.wait_for_the_end()

    assert set(statuses) == {201}
    assert world.broken() == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.representative
@pytest.mark.covers("F18")
def test_the_code_before_the_newest_migrations_still_reads_and_writes_what_it_knows(
    company,
) -> None:
    """As its processes do until a deploy has ended them: their queries name each column of their models."""
    models = MigrationLoader(connection).project_state(BEFORE).apps
    line = models.get_model("capi", "Connection").objects.create(company_id=company.pk)
    for model in models.get_models():
        list(model._default_manager.all()[:10])
    line.save()

    assert Connection.objects.get(company=company).throttles_in_a_row == 0


@pytest.mark.covers("F18")
def test_messages_of_another_version_and_unknown_tasks_stop_no_worker(world) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    with app.connection_for_write(world.broker_server.url) as line:
        producer = app.amqp.Producer(line)
        for _ in range(5):
            app.send_task("capi.of_tomorrow", [company.pk], producer=producer)
            app.send_task(
                "capi.deliver", [company.pk], {"priority": 3}, producer=producer
            )
            app.send_task("capi.deliver", [company.pk, 1, "more"], producer=producer)
        make_leads(company, 20)
        app.send_task("capi.deliver", [company.pk], producer=producer)

    wait_for_the_queue(world)
    world.wait_for_the_end()
    assert world.running["worker1"].poll() is None
    assert world.broken(explained=REFUSED) == []
    assert extra_acceptances(world.ledger.entries()) == 0


ENVELOPE = {
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {},
}
PROPERTIES = {
    "delivery_tag": "1",
    "delivery_info": {"exchange": "", "routing_key": "leadmachine"},
}
NO_MESSAGES = [
    b"{}", b"null", b"[]", b"no JSON", b"\xff\xfe", b"[" * 5000,
    json.dumps({**ENVELOPE, "body": "e30=", "properties": {}}).encode(),
    json.dumps({**ENVELOPE, "body": "e30=", "properties": {**PROPERTIES, "body_encoding": "rot13"}}).encode(),
    json.dumps({**ENVELOPE, "body": "e30=", "properties": {**PROPERTIES, "body_encoding": "base64"}}).encode(),
]  # fmt: skip


@pytest.mark.covers("F18")
def test_what_is_no_message_at_all_ends_no_worker_and_holds_no_delivery_up(
    world,
) -> None:
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    make_leads(company, 20)
    with world.broker_server.client() as client:
        client.rpush(world.queue, *NO_MESSAGES * 3)

    wait_for_the_queue(world)

    world.wait_for_the_end()
    assert world.running["worker1"].poll() is None
    for_celery_to_refuse = 1
    discarded = world.log("worker1").count("was not a LeadMachine message")
    assert discarded == 3 * (len(NO_MESSAGES) - for_celery_to_refuse)
    assert world.broken(explained=r"celery") == []


def wait_for_the_queue(world) -> None:
    with world.broker_server.client() as client:
        wait_for(
            lambda: client.llen(world.queue) == 0, seconds=30, told="the queue is empty"
        )
