"""Machines whose clocks disagree by hours: only the database's counts (F61)."""

import shutil

import pytest

from capi.models import ConversionEvent
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import command
from tests.faults.world import make_leads

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not shutil.which("faketime"),
        reason="shifting a process's clock needs faketime (Debian's)",
    ),
]


def shifted(by: str, words: list[str]) -> list[str]:
    """The same command, in a process whose clock is off by so much. Its monotonic clock runs as always."""
    return ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", by, *words]


@pytest.mark.parametrize(
    ("web", "one", "other"), [("-1d", "+2h", "-2h"), ("+12y", "-10m", "+12y")]
)
@pytest.mark.covers("F61")
def test_with_clocks_that_are_hours_and_years_off_nothing_is_late_twice_or_of_the_future(
    web, one, other, world
) -> None:
    company = world.connect()
    world.start("web", shifted(web, command("web")))
    for name, by in (("worker1", one), ("worker2", other)):
        world.start(name, shifted(by, [*command("worker"), "--hostname", f"{name}@%h"]))
        world.wait_for_worker(name)
    world.wait_for_web()
    api = world.api(company)

    statuses = [api.save_lead(number)[0] for number in range(30)]
    world.ledger.script({"status": 503})
    make_leads(company, 500, start=100)
    world.wait_for_the_end()
    statuses += [api.save_lead(number)[0] for number in range(30, 40)]
    world.wait_for_the_end()

    assert set(statuses) == {201}
    # LinkedIn's end, whose clock is right, refuses what is dated ahead.
    assert [
        entry.status
        for entry in world.ledger.entries()
        if entry.status not in (200, 201)
    ] == [503]
    assert ConversionEvent.objects.filter(state="accepted").count() == 540
    assert extra_acceptances(world.ledger.entries()) == 0
    assert world.broken() == []
