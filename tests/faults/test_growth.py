"""Months without housekeeping, and a worker that dies catching up: F72. No scheduler runs in any of these tests."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from capi.models import Attempt, Housekeeping
from crm.models import IdempotencyRecord
from tests.faults import figures
from tests.faults.invariants import extra_acceptances
from tests.faults.processes import wait_for
from tests.faults.world import Allowed, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

ROWS = 30_000


def months_ago(world, slug: str):
    """A company with rows that should have been deleted long ago. The last housekeeping was half a year ago."""
    company = world.connect(slug)
    rule, long_ago = (
        company.conversion_rules.get(),
        timezone.now() - timedelta(days=250),
    )
    attempts = [
        Attempt(company=company, rule=rule, started_at=long_ago) for _ in range(ROWS)
    ]
    Attempt.objects.bulk_create(attempts, batch_size=5_000)
    forms = [
        IdempotencyRecord(company=company, sha256=f"{number:064}", posted_at=long_ago)
        for number in range(ROWS)
    ]
    IdempotencyRecord.objects.bulk_create(forms, batch_size=5_000)
    Housekeeping.objects.create(pk=1, done_at=Now() - timedelta(days=180))
    return company


def is_done() -> bool:
    return Housekeeping.objects.filter(
        claim_id=None, done_at__gt=Now() - timedelta(minutes=5)
    ).exists()


def nothing_is_left() -> bool:
    return not (
        Attempt.objects.filter(event_count=1, http_status=None).exists()
        or IdempotencyRecord.objects.exists()
    )


@pytest.mark.covers("F72")
def test_months_without_housekeeping_are_made_up_for_while_deliveries_keep_to_their_time(
    world,
) -> None:
    company = months_ago(world, "northwind")
    world.start_worker("worker1")
    world.start_worker("worker2")
    world.wait_for_worker("worker1")

    make_leads(company, 500)

    world.wait_for_the_end()
    wait_for(is_done, seconds=60, told="the housekeeping is done")
    assert nothing_is_left()
    logs = world.log("worker1") + world.log("worker2")
    assert logs.count("The daily housekeeping deleted") == 1
    assert f"{ROWS:,} of capi.Attempt" in logs
    assert world.broken() == []
    assert extra_acceptances(world.ledger.entries()) == 0


@pytest.mark.covers("F72")
def test_a_worker_killed_over_it_is_followed_by_another_once_its_claim_has_lapsed(
    world,
) -> None:
    company = months_ago(world, "northwind")
    world.start_worker("worker1")
    wait_for(lambda: Attempt.objects.count() < ROWS, seconds=30, told="it has begun")
    world.kill("worker1")
    figures.count("kills")
    assert not nothing_is_left()
    make_leads(company, 20)

    world.start_worker("worker2")
    world.wait_for_worker("worker2")
    world.wait_for_the_end()
    assert not is_done()  # the dead worker's claim still counts
    world.kill("worker2")
    Housekeeping.objects.update(claimed_until=Now())
    world.start_worker("worker3")

    wait_for(is_done, seconds=60, told="another worker has done it")
    assert nothing_is_left()
    assert world.broken(Allowed(hidden_answers=1)) == []
