"""An erasure takes the person out of pending and running bulk changes, and these continue where they are."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from crm.jobs import rounds
from crm.models import (
    BulkChange,
    BulkKind,
    BulkSelection,
    CrmEvent,
    Lead,
    LeadChange,
    LeadStatus,
    Membership,
)
from crm.models.bulk_change import BulkSelectionQuerySet
from crm.services import bulk_changes
from crm.services.erasure import erase_lead
from crm.services.lead_changes import Confirmation
from crm.services.lead_merges import merge_leads
from tests.conftest import all_rules, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leads(sales: Membership) -> list[Lead]:
    return [
        make_lead(sales.company, first_name=name, email=f"{name}@example.com")
        for name in "abcde"
    ]


@pytest.fixture
def asked(
    sales: Membership, leads: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> BulkChange:
    monkeypatch.setattr(bulk_changes, "CHUNK", 2)
    return ask(sales, leads)


def ask(member: Membership, leads: list[Lead]) -> BulkChange:
    status = LeadStatus.objects.for_company(member.company).get(name="Qualified")
    change, keys = LeadChange(BulkKind.STATUS, status), [lead.pk for lead in leads]
    return bulk_changes.start(
        author=member,
        change=change,
        keys=keys,
        confirmed=Confirmation(len(keys), 0, timezone.now(), all_rules()),
        filters=[],
    )


def names_of_qualified() -> list[str]:
    events = CrmEvent.objects.filter(kind="lead_qualified").order_by("pk")
    return list(events.values_list("lead__first_name", flat=True))


@pytest.mark.parametrize("erased", [0, 2, 4])
def test_their_number_is_gone_and_nobody_else_is_left_out(
    asked: BulkChange, leads: list[Lead], erased: int
) -> None:
    """Even if the change has passed them already: the positions of the others stay."""
    bulk_changes.advance(asked.pk)

    erase_lead(lead=leads[erased])

    kept = [key for key in BulkSelection.objects.get().read() if key]
    assert kept == [lead.pk for lead in leads if lead != leads[erased]]
    rounds.work_through(lambda: True)
    asked.refresh_from_db()
    done_before = erased < 2
    assert (asked.state, asked.reached) == ("done", 5)
    gone = 0 if done_before else 1
    assert asked.done == {
        "changed": 5 - gone,
        "unchanged": 0,
        "since": 0,
        "gone": gone,
        "refused": 0,
        "unmatched": 0,
    }
    names = ["" if lead == leads[erased] else lead.first_name for lead in leads]
    assert names_of_qualified() == [name for name in names if name or done_before]


def test_what_was_merged_into_them_is_taken_out_too(
    asked: BulkChange, leads: list[Lead]
) -> None:
    merge_leads(kept=leads[0], gone=leads[3])

    erase_lead(lead=leads[0])

    assert [key for key in BulkSelection.objects.get().read() if key] == [
        leads[at].pk for at in (1, 2, 4)
    ]


def test_another_companys_changes_stay(asked: BulkChange, other_company: Any) -> None:
    before = bytes(BulkSelection.objects.get().keys)

    erase_lead(lead=make_lead(other_company))

    assert bytes(BulkSelection.objects.get().keys) == before


def test_a_change_that_is_asked_for_during_an_erasure_waits_for_its_end(
    sales: Membership, leads: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it could read the lead's number before the erasure, and store it after."""
    made: list[BulkChange] = []

    def in_another_process() -> None:
        try:
            keys = Lead.objects.current().order_by("pk").values_list("pk", flat=True)
            change = LeadChange(BulkKind.OWNER)
            made.append(
                bulk_changes.start(
                    author=sales,
                    change=change,
                    keys=keys,
                    confirmed=Confirmation(5, 0, timezone.now(), all_rules()),
                    filters=[],
                )
            )
        finally:
            connection.close()

    asking = threading.Thread(target=in_another_process)
    forget = BulkSelectionQuerySet.forget

    def forget_meanwhile(selections: Any, keys: Any) -> None:
        forget(selections, keys)
        asking.start()
        asking.join(0.5)
        assert made == []

    monkeypatch.setattr(BulkSelectionQuerySet, "forget", forget_meanwhile)
    erase_lead(lead=leads[0])
    asking.join()

    assert list(BulkSelection.objects.get().read()) == [lead.pk for lead in leads[1:]]
