"""The lists of a company: adding, renaming, ordering, archiving and deleting, none of which fires or stops an event."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.utils import timezone

from capi.models import ConversionEvent
from crm.models import (
    AuditEntry,
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadSource,
    LeadStatus,
    LeadType,
    LostReason,
    Stage,
    Tag,
)
from crm.models.company import MAX_GRACE_SECONDS
from crm.models.tag import add_links
from crm.models.tracking.origin import acting_as
from crm.services import picklists
from crm.services.picklists import (
    ENTRIES_AT_MOST,
    add_entry,
    archive_entry,
    change_entry,
    delete_entry,
    move_entry,
    unarchive_entry,
    why_not_yet,
)
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


def status(company: Company, name: str) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name=name)


def names(company: Company, model: type = LeadStatus) -> list[str]:
    return [entry.name for entry in model.objects.for_company(company)]  # type: ignore[attr-defined]


def events() -> list[Any]:
    """All CRM events and all conversion events."""
    return [
        list(
            CrmEvent.objects.order_by("pk").values_list("pk", "kind", "taken_back_at")
        ),
        list(
            ConversionEvent.objects.order_by("pk").values_list("pk", "state", "reason")
        ),
    ]


@pytest.fixture
def happened(company: Company, token: Any, make_rule: Any) -> list[Any]:
    """Leads and deals in every status and stage, and the events that their creation has caused."""
    for kind in (
        "lead_created",
        "lead_qualified",
        "deal_created",
        "deal_won",
        "deal_lost",
    ):
        make_rule(kind)
    for each in LeadStatus.objects.for_company(company):
        lead = make_lead(
            company,
            status=each,
            email=f"{each.pk}@example.com",
            source="Trade fair",
            type="partner",
        )
    price = LostReason.objects.create(company=company, name="Price")
    for stage in Stage.objects.for_company(company):
        make_deal(
            lead, stage=stage, lost_reason=price if stage.meaning == "lost" else None
        )
    add_links(
        Lead, company.pk, [(lead.pk, Tag.objects.create(company=company, name="VIP"))]
    )
    LeadSource.objects.create(company=company, name="Trade fair")
    before = events()
    assert len(before[1]) > 5
    return before


def renamed(entry: Any) -> None:
    entry.name = "Something else"
    change_entry(entry=entry, fields=["name"])


def recoloured(entry: Any) -> None:
    entry.colour = "purple"
    change_entry(entry=entry, fields=["colour"])


def moved(entry: Any) -> None:
    move_entry(entry=entry, place=lambda at: at + 1)


def archived_and_back(entry: Any) -> None:
    archive_entry(entry=entry)
    unarchive_entry(entry=entry)


def archived_long_ago(entry: Any) -> None:
    type(entry).objects.filter(pk=entry.pk).update(archived_at="2026-01-01T00:00Z")


ENTRIES = {
    "status": lambda company: status(company, "Qualified"),
    "stage": lambda company: Stage.objects.for_company(company).get(name="Proposal"),
    "lost reason": lambda company: LostReason.objects.for_company(company).get(),
    "type": lambda company: LeadType.objects.for_company(company).get(code="partner"),
    "source": lambda company: LeadSource.objects.for_company(company).get(),
    "tag": lambda company: Tag.objects.for_company(company).get(),
}


@pytest.mark.parametrize("change", [renamed, recoloured, moved, archived_and_back])
@pytest.mark.parametrize("kind", ENTRIES)
def test_no_change_of_a_list_fires_or_stops_an_event(
    company: Company, happened: list[Any], kind: str, change: Callable[[Any], None]
) -> None:
    change(ENTRIES[kind](company))

    assert events() == happened


@pytest.mark.parametrize("kind", ENTRIES)
def test_moving_all_from_one_entry_to_another_fires_and_stops_nothing(
    company: Company, happened: list[Any], kind: str
) -> None:
    entry = ENTRIES[kind](company)
    target = type(entry).objects.create(
        company=company,
        name="Another",
        **entry.same_kind,
        **({"code": "another"} if kind == "type" else {}),
    )

    if kind == "type":
        archived_long_ago(entry)

    delete_entry(entry=entry, move_to=target)

    assert events() == happened
    assert not type(entry).objects.filter(pk=entry.pk).exists()


def test_leads_are_moved_with_erased_ones_and_it_is_in_their_history(
    company: Company,
) -> None:
    contacted = status(company, "Contacted")
    nurture = LeadStatus.objects.create(
        company=company, name="Nurture", meaning="working", position=9
    )
    lead, erased = (
        make_lead(company, status=nurture),
        make_lead(company, status=nurture),
    )
    Lead.objects.filter(pk=erased.pk).update(
        erased_at="2026-03-01T00:00Z",
        share_with_ad_platforms=False,
        first_name="",
        last_name="",
        email="",
    )

    assert delete_entry(entry=nurture, move_to=contacted) == 2

    assert set(Lead.objects.values_list("status", flat=True)) == {contacted.pk}
    assert Change.objects.get(lead=lead).new == str(contacted.pk)


def test_deals_are_moved_to_another_lost_reason_and_it_is_in_their_history(
    company: Company,
) -> None:
    price, budget = (
        LostReason.objects.create(company=company, name=name)
        for name in ("Price", "Budget")
    )
    lost = Stage.objects.for_company(company).get(name="Lost")
    deal = make_deal(make_lead(company), stage=lost, lost_reason=price)

    assert delete_entry(entry=price, move_to=budget) == 1

    deal.refresh_from_db()
    change = Change.objects.filter(deal=deal).latest("pk")
    assert (deal.lost_reason, change.field, change.new) == (
        budget,
        "reason",
        str(budget.pk),
    )


def test_a_step_is_not_deleted_into_another_meaning_company_or_the_archive(
    company: Company, other_company: Company
) -> None:
    qualified, contacted = status(company, "Qualified"), status(company, "Contacted")
    archived = LeadStatus.objects.create(
        company=company,
        name="Old",
        meaning="qualified",
        archived_at="2026-01-01T00:00Z",
    )
    lead = make_lead(company, status=qualified)

    for target in (
        None,
        contacted,
        archived,
        qualified,
        status(other_company, "Qualified"),
    ):
        with pytest.raises(ValidationError, match="Choose another entry of this list"):
            delete_entry(entry=qualified, move_to=target)

    lead.refresh_from_db()
    assert lead.status == qualified


def test_an_unused_entry_is_deleted_at_once(company: Company) -> None:
    delete_entry(entry=status(company, "Unqualified"), move_to=None)

    assert names(company) == ["New", "Contacted", "Qualified"]


@pytest.mark.parametrize(
    ("model", "name"),
    [(LeadStatus, "New"), (Stage, "Won"), (Stage, "Lost"), (LeadType, "Inbound")],
)
@pytest.mark.parametrize(
    "remove", [archive_entry, lambda entry: delete_entry(entry=entry, move_to=None)]
)
def test_what_a_company_can_t_be_without_stays(
    company: Company, model: Any, name: str, remove: Any
) -> None:
    entry = model.objects.for_company(company).get(name=name)

    with pytest.raises(
        ValidationError, match=r"Add another one first\.|You can rename it\."
    ):
        remove(entry=entry)

    entry.refresh_from_db()
    assert entry.archived_at is None


def test_with_another_of_its_meaning_the_first_status_can_go(company: Company) -> None:
    new = status(company, "New")
    fresh = add_entry(entry=LeadStatus(company=company, name="Fresh", meaning="new"))

    archive_entry(entry=new)

    assert Lead.objects.create(company=company, first_name="Ada").status == fresh
    with pytest.raises(ValidationError):
        archive_entry(entry=fresh)


def test_an_entry_is_checked_as_it_is_now_and_not_as_it_was_read(
    company: Company,
) -> None:
    fresh = add_entry(
        entry=LeadStatus(company=company, name="Fresh", meaning="working")
    )
    # As an earlier version could.
    LeadStatus.objects.filter(pk=fresh.pk).update(meaning="new")
    archive_entry(entry=status(company, "New"))

    with pytest.raises(ValidationError, match="the only one that means “New”"):
        archive_entry(entry=fresh)


@pytest.mark.parametrize("change", [renamed, archive_entry, unarchive_entry])
def test_an_entry_that_someone_has_just_deleted_is_said_to_be(
    company: Company, change: Callable[..., None]
) -> None:
    tag = add_entry(entry=Tag(company=company, name="VIP"))
    Tag.objects.filter(pk=tag.pk).delete()

    with pytest.raises(ValidationError, match="just deleted"):
        change(tag) if change is renamed else change(entry=tag)


@pytest.mark.parametrize("left", ["nothing", "an archived one", "its name"])
def test_a_new_lead_never_gets_another_meaning_silently(
    company: Company, left: str
) -> None:
    """As in data that was restored, or changed without the service."""
    new = LeadStatus.objects.filter(pk=status(company, "New").pk)
    if left == "an archived one":
        new.update(archived_at="2026-01-01T00:00Z")
    else:
        new.delete()
    if left == "its name":
        LeadStatus.objects.create(company=company, name="New", meaning="qualified")

    leads = [Lead.objects.create(company=company, first_name="Ada") for _ in range(2)]

    assert {(lead.status.meaning, lead.status.archived_at) for lead in leads} == {
        ("new", None)
    }
    assert leads[0].status == leads[1].status
    assert leads[0].status.name == ("New 2" if left == "its name" else "New")


def test_a_meaning_that_a_company_can_be_without_is_not_made_up(
    company: Company,
) -> None:
    LeadStatus.objects.for_company(company).filter(meaning="qualified").delete()

    with pytest.raises(ValidationError, match="no lead status that means “qualified”"):
        LeadStatus.objects.first_for(company, "qualified")


def test_entries_are_put_into_order_among_those_that_are_offered(
    company: Company,
) -> None:
    archive_entry(entry=status(company, "Contacted"))

    move_entry(entry=status(company, "Unqualified"), place=lambda at: at - 1)
    assert [name for name in names(company) if name != "Contacted"] == [
        "New",
        "Unqualified",
        "Qualified",
    ]
    move_entry(entry=status(company, "New"), place=lambda _: 99)
    assert [name for name in names(company) if name != "Contacted"] == [
        "Unqualified",
        "Qualified",
        "New",
    ]
    move_entry(entry=status(company, "Unqualified"), place=lambda at: at - 1)
    assert [name for name in names(company) if name != "Contacted"] == [
        "Unqualified",
        "Qualified",
        "New",
    ]


def test_the_meaning_is_fixed_when_an_entry_is_added_used_or_not(
    company: Company,
) -> None:
    unused = add_entry(
        entry=LeadStatus(company=company, name="Warm", meaning="working")
    )
    unused.meaning = "qualified"  # type: ignore[attr-defined]

    with pytest.raises(ValidationError, match="fixed when it was added"):
        change_entry(entry=unused, fields=["name", "meaning"])

    assert status(company, "Warm").meaning == "working"


def test_a_renamed_source_is_renamed_on_its_leads_in_one_statement(
    company: Company, other_company: Company, django_assert_num_queries: Any
) -> None:
    source = LeadSource.objects.create(company=company, name="Fair")
    for _ in range(3):
        make_lead(company, source="Fair")
    other = make_lead(other_company, source="Fair")
    source.name = "Trade fair"

    # The transaction, the lock, the entry twice, the leads, the audit log.
    with django_assert_num_queries(7):
        change_entry(entry=source, fields=["name"])

    other.refresh_from_db()
    assert set(Lead.objects.for_company(company).values_list("source", flat=True)) == {
        "Trade fair"
    }
    assert other.source == "Fair"


def test_a_renamed_type_keeps_the_code_that_scripts_know(company: Company) -> None:
    added = add_entry(entry=LeadType(company=company, name="Cold call"))
    twin = add_entry(entry=LeadType(company=company, name="Cold-call!"))
    renamed(added)

    assert (added.code, twin.code) == ("cold_call", "cold_call_2")  # type: ignore[attr-defined]


def test_a_type_is_archived_before_it_is_deleted_so_that_no_save_is_under_way_with_it(
    company: Company,
) -> None:
    partner = ENTRIES["type"](company)

    with pytest.raises(
        ValidationError, match="Archive it first, and delete it in 10 minutes"
    ):
        delete_entry(entry=partner, move_to=None)
    archive_entry(entry=partner)
    with pytest.raises(
        ValidationError, match=r"archived just now, .* Delete it in 10 minutes\."
    ):
        delete_entry(entry=partner, move_to=None)
    archived_long_ago(partner)

    delete_entry(entry=partner, move_to=None)


def test_a_list_has_an_end(company: Company) -> None:
    Tag.objects.bulk_create(
        Tag(company=company, name=f"Tag {n}") for n in range(ENTRIES_AT_MOST)
    )

    with pytest.raises(ValidationError, match="the most that it can have"):
        add_entry(entry=Tag(company=company, name="One more"))


@pytest.mark.parametrize("subject", ["lead", "deal"])
@pytest.mark.parametrize(
    "what", ["the former one", "the present one", "one of a new row"]
)
def test_what_an_undo_may_need_is_archived_and_not_deleted(
    company: Company, sales: Any, subject: str, what: str
) -> None:
    model: Any = LeadStatus if subject == "lead" else Stage
    meaning = "working" if subject == "lead" else "open"
    former, present, target = (
        model.objects.create(company=company, name=name, meaning=meaning)
        for name in "ABC"
    )
    row = (
        make_lead(company, status=former)
        if subject == "lead"
        else make_deal(make_lead(company), stage=former)
    )
    with acting_as(sales.user, action=uuid.uuid4()):
        if what == "one of a new row":
            make_lead(company, status=present) if subject == "lead" else make_deal(
                row.lead, stage=present
            )
        else:
            type(row).objects.filter(pk=row.pk).update(**{row.step: present})
    needed = former if what == "the former one" else present

    assert "Archive it, or delete it in 10 minutes." in why_not_yet(needed)
    with pytest.raises(
        ValidationError, match=f"just moved a {subject} into or out of it"
    ):
        delete_entry(entry=needed, move_to=target)
    archive_entry(entry=needed)

    long_ago = timezone.now() - timedelta(seconds=MAX_GRACE_SECONDS)
    Change.objects.update(changed_at=long_ago)
    CrmEvent.objects.update(occurred_at=long_ago)
    delete_entry(entry=needed, move_to=target)
    assert why_not_yet(target) == ""


def test_a_change_that_nobody_can_undo_and_a_move_by_deleting_hold_nothing_up(
    company: Company, sales: Any
) -> None:
    first, second, third = (
        LeadStatus.objects.create(company=company, name=name, meaning="working")
        for name in ("A", "B", "C")
    )
    make_lead(company, status=first)

    with acting_as(sales.user, action=uuid.uuid4()):
        delete_entry(entry=first, move_to=second)
        delete_entry(entry=second, move_to=third)

    assert Lead.objects.get().status == third
    assert {change.actor for change in Change.objects.all()} == {sales.user}


def test_a_deleted_tag_is_taken_off_and_its_leads_and_deals_stay(
    company: Company,
) -> None:
    lead = make_lead(company)
    deal = make_deal(lead)
    tag = add_entry(entry=Tag(company=company, name="VIP"))
    add_links(Lead, company.pk, [(lead.pk, tag)])  # type: ignore[list-item]
    add_links(Deal, company.pk, [(deal.pk, tag)])  # type: ignore[list-item]

    delete_entry(entry=tag, move_to=None)

    assert (
        lead.tags.count(),
        deal.tags.count(),
        Lead.objects.count(),
        Deal.objects.count(),
    ) == (0, 0, 1, 1)


def test_each_change_is_in_the_audit_log(company: Company) -> None:
    tag = add_entry(entry=Tag(company=company, name="VIP"))
    renamed(tag)
    archived_and_back(tag)
    delete_entry(entry=tag, move_to=None)

    entries = AuditEntry.objects.for_company(company).order_by("pk")
    assert [entry.details["change"] for entry in entries] == [
        "added",
        "changed",
        "archived",
        "unarchived",
        "deleted",
    ]
    assert {entry.details["kind"] for entry in entries} == {"tags"}


def delete(fair: LeadSource, website: LeadSource) -> None:
    delete_entry(entry=fair, move_to=website)


def rename(fair: LeadSource, website: LeadSource) -> None:
    website.delete()
    fair.name = website.name
    change_entry(entry=fair, fields=["name"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [delete, rename])
def test_a_change_that_the_database_has_ended_for_another_transaction_is_tried_once_more(
    change: Callable[..., None], company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    fair, website = (
        LeadSource.objects.create(company=company, name=name)
        for name in ("A fair", "A website")
    )
    make_lead(company, source=fair.name)
    move, deadlock = picklists._rewrite, OperationalError("deadlock detected")
    deadlock.__cause__ = psycopg.errors.DeadlockDetected()
    raised = [deadlock]

    def ended_once(old: Any, new: Any) -> int:
        moved = move(old, new)
        if raised:
            raise raised.pop()
        return moved

    monkeypatch.setattr(picklists, "_rewrite", ended_once)

    change(fair, website)

    assert Lead.objects.get().source == website.name
    assert not LeadSource.objects.filter(name="A fair").exists()
    assert AuditEntry.objects.filter(action="steps_changed").count() == 1
