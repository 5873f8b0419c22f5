"""An export whose worker is killed twice on the way: the file is the same as without the kills."""

import csv
import io

import pytest

from crm.models import DataExport, ExportFormat, Lead, Membership, User
from crm.models.job import JobState
from crm.selectors.data_exports import content_of
from crm.services import data_exports
from tests.faults import figures
from tests.faults.processes import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.mark.timeout(900)
def test_an_export_that_is_killed_twice_has_each_lead_once_in_its_order(world) -> None:
    count = figures.rounds(12_000, long=100_000)
    company = world.connect()
    user = User.objects.create(
        username="exporter@example.com", email="exporter@example.com"
    )
    member = Membership.objects.create(company=company, user=user, role="sales")
    for begin in range(0, count, 2_000):
        people = [
            Lead(company=company, first_name=f"P{number:06}")
            for number in range(begin, begin + 2_000)
        ]
        Lead.objects.bulk_create(people)
    keys = Lead.objects.order_by("-pk").values_list("pk", flat=True)
    expected = list(Lead.objects.order_by("-pk").values_list("first_name", flat=True))

    made = data_exports.export_list(
        author=member,
        kind="leads",
        file_format=ExportFormat.CSV,
        keys=keys,
        columns=["name"],
        filters=[],
    )
    world.start_worker()
    for share in (0.3, 0.8):
        wait_until(made, lambda now, share=share: now.reached >= share * count)
        world.kill("worker1")
        world.start_worker()
    wait_until(made, lambda now: now.state == JobState.DONE)

    made.refresh_from_db()
    content = b"".join(content_of(made))
    assert [row[0] for row in csv.reader(io.StringIO(content.decode(), newline=""))][
        1:
    ] == expected
    assert len(content) == made.size


def wait_until(made: DataExport, condition) -> None:
    wait_for(
        lambda: condition(DataExport.objects.get(pk=made.pk)),
        seconds=240,
        told="the export goes on",
    )
