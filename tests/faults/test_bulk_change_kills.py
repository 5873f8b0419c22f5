"""Bulk changes whose worker is killed, between chunks and within one: the books end up as without the kills."""

from typing import Any

import pytest
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from capi.models import ConversionEvent
from crm.models import (
    AuditEntry,
    BulkChange,
    BulkKind,
    BulkSelection,
    Change,
    CrmEvent,
    Deal,
    Lead,
    LeadChange,
    LeadStatus,
    Membership,
    Tag,
    User,
)
from crm.models.job import JobState
from crm.services import bulk_changes
from crm.services.lead_changes import Confirmation
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import all_rules, make_deal
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.world import RECOVERY_SECONDS, Allowed, make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def member_of(company, role: str = "admin") -> Membership:
    user = User.objects.create(username="bulk@example.com", email="bulk@example.com")
    return Membership.objects.create(company=company, user=user, role=role)


def ask(member: Membership, change: LeadChange) -> BulkChange:
    keys = Lead.objects.order_by("pk").values_list("pk", flat=True)
    confirmed = Confirmation(keys.count(), keys.count(), timezone.now(), all_rules())
    return bulk_changes.start(
        author=member, change=change, keys=keys, confirmed=confirmed, filters=[]
    )


def kill_at(world, asked: BulkChange, *shares: float) -> None:
    """For each share, kill the worker as soon as it has done that much, wherever it is, and start another."""
    for share in shares:
        wait_until(asked, lambda now, share=share: now.reached >= share * now.row_count)
        world.kill("worker1")
        world.start_worker()


def kill_within_a_chunk(
    world, asked: BulkChange, rows: "QuerySet[Any]", *, begun_at: int
) -> None:
    """Start a worker, kill it while it waits for these rows' lock in the chunk from `begun_at`, and start another."""
    with transaction.atomic():
        assert list(rows.select_for_update())
        world.start_worker()
        wait_until(asked, lambda now: now.reached == begun_at and somebody_waits())
        world.kill("worker1")
    assert BulkChange.objects.get(pk=asked.pk).reached == begun_at
    world.start_worker()


def keys_of(asked: BulkChange) -> list[int]:
    return list(BulkSelection.objects.get(bulk_change=asked).read())


def wait_until(asked: BulkChange, condition) -> None:
    wait_for(
        lambda: condition(BulkChange.objects.get(pk=asked.pk)),
        seconds=240,
        told="the change goes on",
    )


@pytest.mark.timeout(900)
@pytest.mark.covers("F59")
def test_a_status_of_all_that_is_killed_on_the_way_is_given_and_told_once(
    world,
) -> None:
    count = figures.rounds(6_000, long=100_000)
    company = world.connect(rules=("lead_qualified",))
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")
    make_leads(company, count)
    has_it = list(
        Lead.objects.order_by("-pk").values_list("pk", flat=True)[: count // 10]
    )
    Lead.objects.filter(pk__in=has_it).update(status=qualified)
    member = member_of(company)

    asked = ask(member, LeadChange(BulkKind.STATUS, qualified))
    deleted = Lead.objects.order_by("pk").values_list("pk", flat=True)[
        count // 2 : count // 2 + 10
    ]
    Lead.objects.filter(pk__in=list(deleted)).delete()
    at = count * 2 // 5
    lead = Lead.objects.filter(pk=keys_of(asked)[at])
    kill_within_a_chunk(
        world, asked, lead, begun_at=at // bulk_changes.CHUNK * bulk_changes.CHUNK
    )
    kill_at(world, asked, 0.5, 0.7)
    wait_until(asked, lambda now: now.state == JobState.DONE)

    asked.refresh_from_db()
    changed = count - len(has_it) - 10
    assert asked.done == {
        "changed": changed,
        "unchanged": len(has_it),
        "since": 0,
        "gone": 10,
        "refused": 0,
        "unmatched": 0,
    }
    assert asked.reached == asked.row_count == count
    assert not BulkSelection.objects.exists()
    world.wait_for_the_end(seconds=RECOVERY_SECONDS + 20)
    assert set(Lead.objects.values_list("status", flat=True)) == {qualified.pk}
    assert Change.objects.filter(field="status", actor=member.user).count() == changed
    events = CrmEvent.objects.filter(kind="lead_qualified")
    assert (
        events.count()
        == events.values("lead").distinct().count()
        == changed + len(has_it)
    )
    assert ConversionEvent.objects.filter(state="accepted").count() == changed + len(
        has_it
    )
    # A worker that changes leads also delivers, and may be killed while LinkedIn answers.
    assert world.broken(Allowed(hidden_answers=3)) == []


@pytest.mark.timeout(900)
@pytest.mark.covers("F59")
def test_a_deletion_of_all_that_is_killed_on_the_way_deletes_and_notes_each_once(
    world,
) -> None:
    count = figures.rounds(600, long=5_000)
    company = world.connect()
    make_leads(company, count)
    keys = list(Lead.objects.order_by("pk").values_list("pk", flat=True))
    # The deal of a chunk's twentieth lead: those before it are deleted by then, in a transaction that never commits.
    begun_at = count // 2 // bulk_changes.DELETED_CHUNK * bulk_changes.DELETED_CHUNK
    deal = make_deal(Lead.objects.get(pk=keys[begun_at + 20]))
    member = member_of(company)

    asked = ask(member, LeadChange(BulkKind.DELETE))
    second = ask(
        member,
        LeadChange(BulkKind.ADD_TAG, Tag.objects.create(company=company, name="VIP")),
    )
    kill_within_a_chunk(
        world, asked, Deal.objects.filter(pk=deal.pk), begun_at=begun_at
    )
    kill_at(world, asked, 0.6, 0.8)
    wait_until(second, lambda now: now.state == JobState.DONE)

    for each in (asked, second):
        each.refresh_from_db()
    assert asked.done == {
        "changed": count,
        "unchanged": 0,
        "since": 0,
        "gone": 0,
        "refused": 0,
        "unmatched": 0,
    }
    assert second.done == {
        "changed": 0,
        "unchanged": 0,
        "since": 0,
        "gone": count,
        "refused": 0,
        "unmatched": 0,
    }
    assert not Lead.objects.exists()
    noted = AuditEntry.objects.filter(action="lead_deleted").order_by("object_id")
    assert list(noted.values_list("object_id", flat=True)) == keys
