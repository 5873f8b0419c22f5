"""A worker that dies in the middle of a backfill loses nothing of it and doubles nothing."""

import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from capi.linkedin.failpoints import BACKFILL_POINT
from capi.models import Backfill, ConversionEvent, ConversionRule
from capi.services import backfills
from crm.models import CrmEvent
from tests.faults import figures
from tests.faults.invariants import Allowed, extra_acceptances
from tests.faults.world import make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

BATCH, EVENTS = 500, 1_200


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(BACKFILL_POINT, marks=pytest.mark.representative),
        "after_connect",
        "answer_read",
        "before_commit",
        "after_commit",
    ],
)
def test_killed_in_the_middle_it_goes_on(point, world) -> None:
    world.environment["LEADMACHINE_BATCH_SIZE"] = str(BATCH)
    company = world.connect()
    ConversionRule.objects.update(is_active=False)
    make_leads(company, EVENTS)
    ConversionRule.objects.update(is_active=True)
    assert ConversionEvent.objects.count() == 0
    rule = ConversionRule.objects.get()
    now = timezone.now()
    backfills.start(
        rule=rule, since=now - timedelta(days=1), until=now + timedelta(seconds=1)
    )

    for _ in range(2):  # in the first chunk, or batch, and in another
        world.arm(point)
        assert world.deliveries.run(company.pk) == -signal.SIGKILL
        world.let_leases_lapse()
        figures.count("kills")
    assert world.deliveries.run(company.pk) == 0

    hidden = 2 if point in ("answer_read", "before_commit") else 0
    backfill = Backfill.objects.get()
    assert (backfill.state, backfill.done) == ("done", {"goes": EVENTS})
    assert (
        ConversionEvent.objects.filter(state="accepted", backfill=backfill).count()
        == EVENTS
    )
    assert CrmEvent.objects.filter(conversion_events=None).count() == 0
    assert extra_acceptances(world.ledger.entries()) == BATCH * hidden
    assert world.broken(Allowed(hidden_answers=hidden)) == []
