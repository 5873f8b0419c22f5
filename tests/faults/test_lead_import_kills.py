"""An import of leads whose worker is killed twice on the way: its outcome shows no trace of that."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from capi.models import ConversionEvent
from crm.models import CrmEvent, Lead, LeadImport, LeadImportRow, Membership, User
from crm.models.job import JobState
from crm.services import lead_imports
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.world import RECOVERY_SECONDS, Allowed

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def dirty(rows: int) -> bytes:
    """A file: a tenth of its rows are bad, and a tenth are the same as the one before."""
    lines = [f"Row,{number},row{number}@example.com" for number in range(rows)]
    lines[::10] = [",,row@"] * len(lines[::10])
    lines[5::10] = lines[4::10]
    return "\n".join(["First name,Last name,E-mail", *lines]).encode()


@pytest.mark.timeout(900)
@pytest.mark.covers("F59")
def test_an_import_that_is_killed_twice_adds_and_tells_each_lead_once(world) -> None:
    new = import_and_kill(world, tells_platforms=True)

    world.wait_for_the_end(seconds=RECOVERY_SECONDS + 20)
    assert (
        Lead.objects.count()
        == CrmEvent.objects.count()
        == ConversionEvent.objects.count()
        == new
    )
    # A worker that imports also delivers, and may be killed while LinkedIn answers.
    assert world.broken(Allowed(hidden_answers=2)) == []


@pytest.mark.timeout(900)
@pytest.mark.covers("F59")
def test_an_import_that_tells_nothing_and_is_killed_twice_adds_each_lead_once(
    world,
) -> None:
    new = import_and_kill(world, tells_platforms=False)

    assert (
        Lead.objects.count()
        == CrmEvent.objects.filter(history_only=True).count()
        == new
    )
    # And None, for all others.
    assert LeadImportRow.objects.values("lead").distinct().count() == new + 1
    assert list(Lead.objects.order_by("pk").values_list("email", flat=True)) == sorted(
        Lead.objects.values_list("email", flat=True),
        key=lambda email: int(email[3 : email.index("@")]),
    )


def import_and_kill(world, *, tells_platforms: bool) -> int:
    """Import a file, and kill the worker twice. Returns how many leads were added."""
    rows = figures.rounds(8_000, long=100_000)
    company = world.connect()
    user = User.objects.create(
        username="importer@example.com", email="importer@example.com"
    )
    Membership.objects.create(company=company, user=user, role="sales")
    file = SimpleUploadedFile("leads.csv", dirty(rows))
    lead_import = lead_imports.upload(company=company, file=file, actor=user)
    world.start_worker()
    wait_until(lead_import, lambda now: now.state == JobState.PAUSED)

    assert lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=tells_platforms, actor=user
    )
    for share in (0.3, 0.8):
        wait_until(lead_import, lambda now, share=share: now.rows_done >= share * rows)
        world.kill("worker1")
        world.start_worker()
    wait_until(lead_import, lambda now: now.state == JobState.DONE)

    lead_import.refresh_from_db()
    counts = {
        outcome: lead_import.done[outcome] for outcome in ("new", "duplicate", "bad")
    }
    assert counts == {"new": rows * 8 // 10, "duplicate": rows // 10, "bad": rows // 10}
    assert lead_import.done == lead_import.planned
    return counts["new"]


def wait_until(lead_import: LeadImport, condition) -> None:
    wait_for(
        lambda: condition(LeadImport.objects.get(pk=lead_import.pk)),
        seconds=240,
        told="the import goes on",
    )
