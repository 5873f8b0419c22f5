"""Thousands of leads that a script adds, in bulk or over the API, while something is killed on the way (F59)."""

import time
from statistics import quantiles

import pytest

from capi.models import ConversionEvent
from crm.models import Lead
from tests.faults import figures
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import job, wait_for
from tests.faults.world import RECOVERY_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.mark.timeout(1800)
@pytest.mark.covers("F59")
def test_leads_whose_import_is_killed_twice_and_run_twice_come_in_and_go_out_once(
    world,
) -> None:
    rows = figures.rounds(20_000, long=100_000)
    company = world.connect()
    world.start_worker()
    world.wait_for_worker()
    for share in (0.3, 0.8):
        world.start("import", job("add", company.slug, str(rows)))
        wait_for(
            lambda share=share: Lead.objects.count() >= share * rows,
            seconds=120,
            told="the import goes on",
        )
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


def rows_of_a_file(count: int) -> list[dict[str, str]]:
    """Rows of which a tenth are bad, and one in twenty is the same as the one before."""
    rows = [
        {"first_name": "Row", "email": f"row{number}@example.com"}
        for number in range(count)
    ]
    for number in range(0, count, 10):
        rows[number] = {"first_name": "Bad", "email": f"row {number}"}
    for number in range(5, count, 20):
        rows[number] = rows[number - 1]
    return rows


def upload(
    world, api, rows, killed_at: dict[int, str]
) -> tuple[dict[str, object], list[float]]:
    """Upload as a script does: it skips what is there, and checks that again if it gets no answer, before it retries.

    Returns what was refused, with the reason, and how many seconds each answer took.
    """
    present, refused, took = api.addresses(), {}, []
    for number, row in enumerate(rows):
        if point := killed_at.get(number):
            world.arm(point)
        while row["email"] not in present:
            start = time.monotonic()
            try:
                answer = api.add_lead(row)
            except OSError:
                world.wait_for_web()
                present = api.addresses()
                continue
            took.append(time.monotonic() - start)
            if answer.status_code != 201:
                refused[row["email"]] = answer.json()
                break
            present.add(row["email"])
    return refused, took


@pytest.mark.covers("F59")
def test_a_file_that_a_script_adds_over_the_api_comes_in_once_though_the_web_server_is_killed_twice(
    world,
) -> None:
    company = world.connect()
    world.start_web()
    api, rows = world.api(company), rows_of_a_file(120)
    good = {row["email"] for row in rows if row["first_name"] == "Row"}
    bad = {row["email"] for row in rows if row["first_name"] == "Bad"}

    # Once before the commit, so nothing was saved, and once after it, so everything was.
    refused, took = upload(world, api, rows, {36: "planned", 97: "before_wake"})
    again, _ = upload(world, api, rows, {})

    assert (len(good), len(bad)) == (102, 12)
    assert (
        refused
        == again
        == {
            email: {"email": ["Enter an e-mail address such as ada@example.com."]}
            for email in bad
        }
    )
    assert not world.is_armed("planned")
    assert not world.is_armed("before_wake")
    assert world.deliveries.run(company.pk) == 0
    assert sorted(Lead.objects.values_list("email", flat=True)) == sorted(good)
    assert ConversionEvent.objects.filter(state="accepted", attempts=1).count() == len(
        good
    )
    assert extra_acceptances(world.ledger.entries()) == 0
    assert quantiles(took, n=20)[18] <= 1
    assert world.broken(explained="was sent SIGKILL") == []
    figures.count("leads imported over the API", len(good))
    figures.count("kills of a web server", 2)
