"""With nothing broken, everything goes out once, and only once."""

import pytest
from django.db import connection

from capi.models import ConversionEvent
from tests.faults import figures
from tests.faults.invariants import extra_acceptances
from tests.faults.world import RECOVERY_SECONDS, make_leads
from tests.size import sized

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

COMPANIES, EACH = 6, sized(5_000, small=200)


@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.timeout(3600)
def test_events_of_6_companies_go_through_two_workers_once_each(world) -> None:
    for number in range(figures.rounds(1, long=34)):
        start_workers(world, times=number + 1)
        companies = [
            world.connect(f"company-{n}", token=f"AQV-the-token-of-company-{n}")
            for n in range(COMPANIES)
        ]
        for part in range(5):
            for company in companies:
                make_leads(company, EACH // 5, start=EACH * part)

        world.wait_for_the_end(seconds=RECOVERY_SECONDS + 20)

        entries = world.ledger.entries()
        assert (
            ConversionEvent.objects.filter(state="accepted", attempts=1).count()
            == COMPANIES * EACH
        )
        assert sum(len(entry.elements) for entry in entries) == COMPANIES * EACH
        assert extra_acceptances(entries) == 0
        assert world.broken() == []
        figures.count("fault-free events", COMPANIES * EACH)
        start_afresh(world)


def start_workers(world, *, times: int) -> None:
    for name in ("worker1", "worker2"):
        world.start_worker(name)
        world.wait_for_worker(name, times=times)


def start_afresh(world) -> None:
    """Delete what was sent: the more is in the books, the longer they take to compare."""
    # TRUNCATE locks table by table, and a running worker locks them in another order.
    world.stop()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE crm_company CASCADE")
    world.ledger.clear()
