"""F76: a slip that is put right in time never goes out, and everything else goes out at the end of its grace period."""

import signal
import time
import uuid

import pytest

from capi.delivery import wakeup
from capi.delivery.wakeup import publisher
from capi.models import ConversionEvent
from capi.models.choices import Reason
from crm.models import Company, Lead, LeadStatus
from crm.models.tracking.origin import acting_as
from crm.services.editing import change_status
from crm.services.undo import undo
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.world import make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

GRACE_SECONDS = 3
LATEST_SECONDS = 5  # after the end of the grace period; much shorter than a sweep
RARE_SWEEPS = {"LEADMACHINE_SWEEP_SECONDS": "60"}


@pytest.fixture
def patient(world) -> Company:
    company = world.connect(rules=("lead_qualified",))
    Company.objects.update(grace_seconds=GRACE_SECONDS)
    world.start_worker(**RARE_SWEEPS)
    world.wait_for_worker()
    make_leads(company, 3)
    return company


@pytest.fixture
def qualify(world, patient, settings):
    """Qualifies leads as a request in the browser does, with wake-ups to the broker of the world."""
    settings.REDIS_URL = world.environment["REDIS_URL"]
    wakeup._broker_connection.cache_clear()

    yield set_to_qualified
    publisher.flush(10)
    wakeup._broker_connection.cache_clear()


@pytest.mark.representative
@pytest.mark.covers("F76")
def test_a_worker_sends_at_the_end_of_the_grace_period_without_a_sweep(
    world, patient, qualify
) -> None:
    began = time.monotonic()
    qualify(Lead.objects.all())

    wait_for(
        lambda: world.ledger.entries(),
        seconds=GRACE_SECONDS + 20,
        told="LinkedIn has a request",
    )
    took = time.monotonic() - began

    assert GRACE_SECONDS <= took <= GRACE_SECONDS + LATEST_SECONDS
    world.wait_for_the_end()
    assert world.broken() == []


@pytest.mark.covers("F76")
def test_what_is_undone_in_time_never_goes_out_though_the_worker_was_woken_for_it(
    world, patient, qualify
) -> None:
    ada, bob, eve = Lead.objects.order_by("pk")
    action = qualify(Lead.objects.exclude(pk=eve.pk))
    qualify(Lead.objects.filter(pk=eve.pk))

    undo(company=patient, action=action)

    world.wait_for_the_end()
    [entry] = world.ledger.entries()
    assert [element["eventId"] for element in entry.elements] == [
        ConversionEvent.objects.get(lead=eve).event_id
    ]
    ended = ConversionEvent.objects.filter(lead__in=[ada, bob]).values_list(
        "reason", flat=True
    )
    assert list(ended) == [Reason.TAKEN_BACK] * 2
    assert world.broken() == []


@pytest.mark.parametrize("point", ["half_body_sent", "body_sent", "answer_read"])
@pytest.mark.covers("F11", "F76")
def test_what_is_undone_and_made_again_after_a_kill_reaches_linkedin_once(
    point, world
) -> None:
    company = world.connect(rules=("lead_qualified",))
    Company.objects.update(grace_seconds=0)
    make_leads(company, 20)
    action = set_to_qualified(Lead.objects.all())
    world.arm(point)
    assert world.deliveries.run(company.pk) == -signal.SIGKILL
    figures.count("kills")

    undo(company=company, action=action)
    world.let_leases_lapse()
    assert world.deliveries.run(company.pk) == 0
    set_to_qualified(Lead.objects.all())
    assert world.deliveries.run(company.pk) == 0

    taken = [
        element["eventId"]
        for entry in world.ledger.entries()
        for element in entry.elements
        if not entry.fault
    ]
    assert len(set(taken)) == 20
    assert (
        sorted(ConversionEvent.objects.values_list("state", flat=True))
        == ["accepted"] * 20 + ["cancelled"] * 20
    )
    assert set(
        ConversionEvent.objects.filter(state="accepted").values_list(
            "event_id", flat=True
        )
    ) == set(taken)


def set_to_qualified(leads) -> uuid.UUID:
    action = uuid.uuid4()
    with acting_as(None, action=action):
        change_status(leads=leads, status=LeadStatus.objects.get(meaning="qualified"))
    return action
