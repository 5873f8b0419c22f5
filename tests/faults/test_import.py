"""Thousands of leads that a script or an import adds, and that is killed on the way (F59)."""

import pytest

from capi.models import ConversionEvent
from crm.models import Lead
from tests.faults import figures
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import job, wait_for
from tests.faults.world import RECOVERY_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.mark.timeout(1800)
def test_f59_20000_leads_whose_import_is_killed_twice_and_run_twice_come_in_and_go_out_once(world) -> None:
    rows = figures.rounds(20_000, long=100_000)
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    for share in (0.3, 0.8):
        world.start("import", job("add", company.slug, str(rows)))
        wait_for(lambda share=share: Lead.objects.count() >= share * rows, seconds=120, told="the import goes on")
        world.kill("import")
        assert Lead.objects.count() < rows

    for _ in range(2):
        world.run(job("add", company.slug, str(rows)))

    world.wait_for_the_end(seconds=RECOVERY_SECONDS + 20)
    assert Lead.objects.count() == ConversionEvent.objects.count() == rows
    assert ConversionEvent.objects.filter(state="accepted", attempts=1).count() == rows
    assert extra_acceptances(world.ledger.entries()) == 0
    assert world.broken() == []
    figures.count("leads imported", rows)
