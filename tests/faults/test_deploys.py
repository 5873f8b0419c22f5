"""F70: SIGTERM, as a deploy sends it, with requests in flight: each is finished and recorded, and none is begun."""

import os
import signal
import threading
import time
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from capi.models import Connection, ConversionEvent
from crm.models import Lead
from crm.models.roles import Role
from tests.conftest import PASSWORD, join
from tests.faults import figures
from tests.faults.installation import Browser
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import command, wait_for
from tests.faults.world import ABOUT_BROKER, SMALL, make_leads, timed

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

# A request takes long, but not so long that a busy machine gives it up; and there are nine more behind it.
REQUEST_SECONDS = 0.6 * SMALL["SEND_TIMEOUT_SECONDS"]
SLOW_ANSWERS = [{"delay_ms": 1000 * REQUEST_SECONDS, "times": 10}]
SMALL_BATCHES = {"LEADMACHINE_BATCH_SIZE": "50"}
EMBEDDED = {"REDIS_URL": "", "LEADMACHINE_EMBEDDED_WORKER": "on"}


def make_500_and_wait_for_the_first_request(world, company) -> None:
    world.ledger.script(*SLOW_ANSWERS)
    make_leads(company, 500)
    wait_for(lambda: world.ledger.entries(), seconds=20, told="a request is in flight")


def end_all(world, *, seconds: float = SMALL["SEND_TIMEOUT_SECONDS"] + 5) -> None:
    with timed(seconds):
        codes = world.stop(signal.SIGTERM)

    assert set(codes.values()) == {0}
    figures.count("SIGTERMs", len(codes))


def what_was_sent(world) -> tuple[int, int]:
    """The number of requests, and of events accepted in our books. Fails if a lane is held or an event went twice."""
    assert list(Connection.objects.values_list("lease_id", "leased_until")) == [
        (None, None)
    ]
    assert extra_acceptances(world.ledger.entries()) == 0
    return len(world.ledger.entries()), ConversionEvent.objects.filter(
        state="accepted"
    ).count()


def finish_with_another(world) -> None:
    world.ledger.script()
    world.start_worker("worker2")
    world.wait_for_worker("worker2")
    world.wait_for_the_end()


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
@pytest.mark.covers("F70")
def test_a_worker_that_is_to_end_finishes_its_request_and_begins_no_other(
    pool, world
) -> None:
    company = world.connect()
    world.start_worker("worker1", "--pool", pool, **SMALL_BATCHES)
    world.wait_for_worker("worker1")
    # By which a health check finds it.
    alive = settings.ALIVE_DIR / f"worker-{world.running['worker1'].pid}"
    make_500_and_wait_for_the_first_request(world, company)
    assert time.time() - alive.stat().st_mtime < 10

    end_all(world)

    assert not alive.exists()
    assert what_was_sent(world) == (1, 50)
    finish_with_another(world)
    assert world.broken() == []


@pytest.mark.covers("F70")
def test_so_does_the_sweep_that_delivers_where_the_broker_is_away(world) -> None:
    company = world.connect()
    world.start_worker("worker1", **SMALL_BATCHES)
    world.wait_for_worker("worker1")
    world.broker.down()
    make_500_and_wait_for_the_first_request(world, company)

    end_all(world)

    assert what_was_sent(world) == (1, 50)
    world.broker.up()
    finish_with_another(world)
    assert world.broken(explained=ABOUT_BROKER) == []


@pytest.mark.representative
@pytest.mark.covers("F70")
def test_so_does_the_worker_inside_a_web_process(world) -> None:
    company = world.connect()
    world.start("web", command("web"), **EMBEDDED, **SMALL_BATCHES)
    world.wait_for_web()
    make_500_and_wait_for_the_first_request(world, company)

    end_all(world, seconds=SMALL["SEND_TIMEOUT_SECONDS"] + 8)

    assert what_was_sent(world) == (1, 50)
    finish_with_another(world)
    assert world.broken() == []


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.covers("F70")
def test_a_web_server_that_is_to_end_answers_an_erasure_that_waits_for_a_request(
    embedded, world
) -> None:
    company = world.connect()
    # Longer than the five seconds that it was given before.
    limits = {
        "LEADMACHINE_SEND_TIMEOUT_SECONDS": "9",
        "LEADMACHINE_LEASE_SECONDS": "30",
    }
    if embedded:
        limits |= EMBEDDED
    else:
        world.start_worker("worker1", **limits)
        world.wait_for_worker("worker1")
    # So pages need no collected static files.
    world.start("web", command("web"), DEBUG="on", **limits)
    world.wait_for_web()
    browser = admins_browser(world, company)
    world.ledger.script({"delay_ms": 8000})
    make_leads(company, 5)
    wait_for(lambda: world.ledger.entries(), seconds=20, told="a request is in flight")
    lead, answers = Lead.objects.earliest("pk"), []
    erasing = threading.Thread(target=lambda: answers.append(erase(browser, lead)))

    erasing.start()
    wait_for(
        lambda: Lead.objects.exclude(erased_at=None).exists(),
        seconds=5,
        told="the erasure waits",
    )
    os.kill(world.running["web"].pid, signal.SIGTERM)

    assert world.running["web"].wait(20) == 0
    erasing.join(5)
    assert [answer.status_code for answer in answers] == [302]
    wait_for(
        lambda: not ConversionEvent.objects.exclude(state="accepted").exists(),
        seconds=5,
        told="it is written",
    )
    assert what_was_sent(world) == (1, 5)
    assert world.broken() == []
    figures.count("SIGTERMs")


def admins_browser(world, company) -> Browser:
    """A signed-in admin. The web server accepts only password hashes as in production."""
    user = join(company, Role.ADMIN).user
    user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt")
    user.save()
    browser = Browser(world.url)
    browser.post("/login/", form_at="/login/", username=user.email, password=PASSWORD)
    return browser


def erase(browser: Browser, lead: Lead) -> Any:
    return browser.send(
        f"/leads/{lead.pk}/erase/", form_at=f"/leads/{lead.pk}/erase/", name=lead.name
    )
