"""One change of several leads: each counts as changed, no change needed, no longer exists, or failed."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from crm.models import (
    AuditEntry,
    BulkKind,
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadChange,
    LeadStatus,
    Tag,
)
from crm.models.roles import Role
from crm.services import lead_changes
from crm.services.lead_changes import (
    OTHER_REASON,
    TargetArchived,
    TargetGone,
    change_leads,
    lead_change,
)
from crm.services.lead_merges import merge_leads
from crm.services.picklists import archive_entry
from tests.conftest import join, make_deal, make_lead, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def qualified(company: Company) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name="Qualified")


def counts(company: Company, change: LeadChange, keys: list[int]) -> dict[str, int]:
    found = change_leads(company=company, change=change, keys=keys)
    return {str(result): count for result, count in found.counts.items() if count}


def test_a_status_counts_what_changes_what_has_it_and_what_is_gone(
    company: Company, other_company: Company, qualified: LeadStatus
) -> None:
    new, has_it, foreign = (
        make_lead(company),
        make_lead(company, status=qualified),
        make_lead(other_company),
    )
    erased, merged, deleted = (
        make_lead(company, email=f"{number}@example.com") for number in range(3)
    )
    keys = [lead.pk for lead in (new, has_it, foreign, erased, merged, deleted)]
    erase_in_a_test(erased)
    merge_leads(kept=new, gone=merged)
    deleted.delete()

    found = counts(company, LeadChange(BulkKind.STATUS, qualified), keys)

    assert found == {"changed": 1, "unchanged": 1, "gone": 4}
    assert list(Lead.objects.filter(status=qualified).order_by("pk")) == [new, has_it]
    assert CrmEvent.objects.filter(kind="lead_qualified", lead=new).count() == 1


def erase_in_a_test(lead: Lead) -> None:
    """Leave the lead as `erase_lead` does, which can't be part of a test's transaction."""
    personal = dict.fromkeys(("first_name", "last_name", "email"), "")
    Lead.objects.filter(pk=lead.pk).update(
        erased_at=timezone.now(), share_with_ad_platforms=False, **personal
    )


def test_an_owner_is_given_and_taken(company: Company) -> None:
    ada, bea = (
        join(company, Role.SALES).user,
        join(company, Role.SALES, email="bea@example.com").user,
    )
    leads = [
        make_lead(company),
        make_lead(company, owner=ada),
        make_lead(company, owner=bea),
    ]
    keys = [lead.pk for lead in leads]

    assert counts(company, LeadChange(BulkKind.OWNER, ada), keys) == {
        "changed": 2,
        "unchanged": 1,
    }
    assert set(Lead.objects.values_list("owner", flat=True)) == {ada.pk}
    assert Change.objects.filter(field="owner", new=str(ada.pk)).count() == 2

    assert counts(company, LeadChange(BulkKind.OWNER), keys) == {"changed": 3}
    assert set(Lead.objects.values_list("owner", flat=True)) == {None}


def test_a_tag_is_put_on_and_taken_off(company: Company) -> None:
    vip = Tag.objects.create(company=company, name="VIP")
    keys = [make_lead(company).pk for _ in range(3)]

    assert counts(company, LeadChange(BulkKind.ADD_TAG, vip), keys[:2]) == {
        "changed": 2
    }
    assert counts(company, LeadChange(BulkKind.ADD_TAG, vip), keys) == {
        "changed": 1,
        "unchanged": 2,
    }
    assert counts(company, LeadChange(BulkKind.REMOVE_TAG, vip), keys[1:]) == {
        "changed": 2
    }
    assert list(Lead.objects.filter(tags=vip).values_list("pk", flat=True)) == keys[:1]


def test_a_deletion_takes_along_what_belongs_to_each(company: Company) -> None:
    member = join(company, Role.ADMIN)
    leads = [make_lead(company) for _ in range(3)]
    make_task(member, lead=leads[0])
    make_deal(leads[1])

    assert counts(
        company, LeadChange(BulkKind.DELETE), [lead.pk for lead in leads[:2]]
    ) == {"changed": 2}

    assert list(Lead.objects.all()) == leads[2:]
    assert not Deal.objects.exists()
    entries = AuditEntry.objects.filter(action="lead_deleted").order_by("pk")
    assert list(entries.values_list("object_id", flat=True)) == [
        lead.pk for lead in leads[:2]
    ]


def refusing(
    monkeypatch: pytest.MonkeyPatch, kind: BulkKind, pk: int, error: Exception
) -> None:
    """Lets the change of this lead fail, whether it is changed alone or with others."""
    step = lead_changes.STEPS[kind]

    def failing(leads: Any, target: Any) -> int:
        changed = step(leads, target)
        if leads.filter(pk=pk).exists():
            raise error
        return changed

    monkeypatch.setitem(lead_changes.STEPS, kind, failing)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValidationError("It has too many tags."), "It has too many tags."),
        (IntegrityError("Key (email)=(ada@example.com) already exists."), OTHER_REASON),
    ],
)
def test_one_lead_that_is_refused_keeps_no_other_from_its_change(
    company: Company,
    qualified: LeadStatus,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    leads = [make_lead(company) for _ in range(3)]
    refusing(monkeypatch, BulkKind.STATUS, leads[1].pk, error)

    found = change_leads(
        company=company,
        change=LeadChange(BulkKind.STATUS, qualified),
        keys=[lead.pk for lead in leads],
    )

    assert dict(found.counts) == {"gone": 0, "since": 0, "changed": 2, "refused": 1}
    assert found.refusals == {reason: 1}
    assert list(Lead.objects.filter(status=qualified).order_by("pk")) == [
        leads[0],
        leads[2],
    ]
    events = CrmEvent.objects.filter(kind="lead_qualified").order_by("lead")
    assert list(events.values_list("lead", flat=True)) == [leads[0].pk, leads[2].pk]


def test_what_it_is_about_is_looked_up_in_the_company_and_in_its_lists(
    company: Company, other_company: Company, qualified: LeadStatus
) -> None:
    foreign = LeadStatus.objects.for_company(other_company).get(name="Qualified")
    stranger, vip = (
        join(other_company, Role.SALES).user,
        Tag.objects.create(company=company, name="VIP"),
    )
    gone = [
        (BulkKind.STATUS, foreign.pk),
        (BulkKind.OWNER, stranger.pk),
        (BulkKind.ADD_TAG, 10**15),
    ]

    for kind, target in gone:
        with pytest.raises(TargetGone):
            lead_change(company=company, kind=kind, target=target)
    for entry in (qualified, vip):
        archive_entry(entry=entry)
    for kind, target in ((BulkKind.STATUS, qualified.pk), (BulkKind.ADD_TAG, vip.pk)):
        with pytest.raises(TargetArchived):
            lead_change(company=company, kind=kind, target=target)
    assert (
        lead_change(company=company, kind=BulkKind.REMOVE_TAG, target=vip.pk).target
        == vip
    )
    assert lead_change(company=company, kind=BulkKind.OWNER, target=None).target is None
