"""The people of a deal: who is added and removed, what the history says, and what is refused."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from crm.data_exchange.importing.undoing import undo_chunk
from crm.models import (
    Change,
    ChangedField,
    CrmEvent,
    Deal,
    DealPerson,
    Lead,
    LeadImport,
    LeadImportRow,
)
from crm.models.lead import DealReassigned, LeadMerged, PersonErased
from crm.models.tracking.origin import acting_as
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.selectors import timeline
from crm.selectors.bulk_changes import belongings_of
from crm.services.deal_people import (
    IS_LEAD,
    NOT_THERE,
    PEOPLE_AT_MOST,
    TOO_MANY,
    PeopleRefused,
    add_person,
    change_lead,
    remove_person,
    replace_people,
)
from crm.services.editing import delete
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from crm.services.undo import undo
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def deal(company):
    return make_deal(make_lead(company))


@pytest.fixture
def grace(company):
    return make_lead(
        company, first_name="Grace", last_name="Hopper", email="grace@example.com"
    )


def people(deal):
    """The keys of the deal's lead and of its further people."""
    return again(deal).lead_id, set(
        DealPerson.objects.filter(deal=deal).values_list("lead", flat=True)
    )


def again(row):
    return type(row)._base_manager.get(pk=row.pk)


def test_a_person_is_added_once_and_removed_and_both_histories_say_so(
    sales, deal, grace
):
    with acting_as(sales.user):
        add_person(deal=deal, lead=grace)
        add_person(deal=deal, lead=grace)
        added = DealPerson.objects.get()
        remove_person(deal=deal, lead=grace)
        remove_person(deal=deal, lead=grace)

    assert (added.company, added.lead, added.added_by) == (
        deal.company,
        grace,
        sales.user,
    )
    assert people(deal) == (deal.lead_id, set())
    for page in (timeline.of_deal(deal), timeline.of_lead(grace)):
        entries = [
            (entry.title, entry.by)
            for entry in page.entries
            if isinstance(entry.source, Change)
        ]
        assert entries == [
            ("Removed Grace Hopper from the deal", str(sales.user)),
            ("Added Grace Hopper to the deal", str(sales.user)),
        ]
    assert not any(
        "Grace" in entry.title for entry in timeline.of_lead(deal.lead).entries
    )


def test_it_counts_as_a_change_of_the_deal_and_causes_no_event(deal, grace):
    long_ago, events = datetime(2026, 1, 1, tzinfo=UTC), CrmEvent.objects.count()
    Deal.objects.update(updated_at=long_ago)

    add_person(deal=deal, lead=grace)

    assert again(deal).updated_at > long_ago
    assert CrmEvent.objects.count() == events


def test_the_lead_of_a_deal_is_not_one_of_its_further_people(deal):
    with pytest.raises(PeopleRefused, match=IS_LEAD):
        add_person(deal=deal, lead=deal.lead)
    with pytest.raises(PeopleRefused, match=IS_LEAD):
        replace_people(deal=deal, leads=[deal.lead_id])

    assert not DealPerson.objects.exists()


def test_there_is_a_limit_and_nothing_is_written_above_it(company, deal):
    leads = [
        make_lead(company, email=f"{number}@example.com").pk
        for number in range(PEOPLE_AT_MOST + 1)
    ]

    with pytest.raises(PeopleRefused, match=TOO_MANY):
        replace_people(deal=deal, leads=leads)
    assert not DealPerson.objects.exists()
    replace_people(deal=deal, leads=leads[1:])
    # One goes, and another one comes.
    replace_people(deal=deal, leads=[*leads[2:], leads[0]])

    assert people(deal)[1] == {leads[0], *leads[2:]}


def test_nobody_is_added_who_was_erased_or_merged_or_to_a_deal_that_is_another_leads_by_now(
    company, deal, grace
):
    erased, merged = (
        make_lead(company, email="e@example.com"),
        make_lead(company, email="m@example.com"),
    )
    erase_lead_in_test(erased)
    Lead.objects.filter(pk=merged.pk).update(merged_into=grace)
    stale = again(deal)
    Deal.objects.filter(pk=deal.pk).update(
        lead=make_lead(company, email="other@example.com")
    )

    for given, lead, error in ((again(deal), erased, PersonErased), (again(deal), merged, LeadMerged),
                               (stale, grace, DealReassigned)):  # fmt: skip
        with pytest.raises(error):
            add_person(deal=given, lead=lead)

    assert not DealPerson.objects.exists()


def erase_lead_in_test(lead):
    """Leave the lead as an erasure does, within the transaction of a test."""
    Lead.objects.filter(pk=lead.pk).update(erased_at="2026-11-01T00:00Z", first_name="", last_name="", email="",
                                           share_with_ad_platforms=False)  # fmt: skip


def test_the_former_lead_takes_the_place_of_the_new_one_with_the_events_of_the_deal(
    deal, grace
):
    ada = deal.lead
    add_person(deal=deal, lead=grace)

    change_lead(deal=deal, lead=grace)

    assert people(deal) == (grace.pk, {ada.pk})
    assert list(CrmEvent.objects.filter(deal=deal).values_list("lead", flat=True)) == [
        grace.pk
    ]
    assert CrmEvent.objects.filter(lead=ada, deal=None).count() == 1
    assert "Lead: Ada → Grace Hopper" in [
        entry.title for entry in timeline.of_deal(again(deal)).entries
    ]


def test_a_lead_that_was_no_person_of_the_deal_leaves_the_former_none(deal, grace):
    change_lead(deal=deal, lead=grace)
    change_lead(deal=deal, lead=grace)

    assert people(deal) == (grace.pk, set())
    assert Change.objects.filter(field=ChangedField.LEAD).count() == 1


@pytest.mark.parametrize("is_person", [True, False])
def test_a_lead_whom_the_operator_left_a_place_can_be_replaced(
    company, deal, grace, is_person
):
    """The operator's admin doesn't know about people: it may have made one of them the lead."""
    DealPerson.objects.create(company=company, deal=deal, lead=deal.lead)
    if is_person:
        add_person(deal=deal, lead=grace)

    change_lead(deal=deal, lead=grace)

    assert people(deal) == (
        grace.pk,
        {Lead.objects.get(first_name="Ada").pk} if is_person else set(),
    )


def test_a_lead_who_has_to_be_one_of_the_people_is_refused_if_not(deal, grace):
    with pytest.raises(PeopleRefused, match=NOT_THERE):
        change_lead(deal=deal, lead=grace, of_people=True)
    assert people(deal) == (deal.lead_id, set())

    add_person(deal=deal, lead=grace)
    for _ in range(2):  # as for two clicks
        change_lead(deal=deal, lead=grace, of_people=True)

    assert people(deal)[0] == grace.pk


def test_a_deal_whose_lead_was_changed_or_deleted_meanwhile_is_not_said_to_have_the_one_asked_for(
    deal, grace
):
    ada, stale = deal.lead, again(deal)
    change_lead(deal=deal, lead=grace)

    with pytest.raises(DealReassigned):
        change_lead(deal=stale, lead=ada)
    delete(row=again(grace))
    with pytest.raises(DeletedMeanwhile):
        change_lead(deal=deal, lead=ada)


@pytest.mark.parametrize("change", [lambda deal, lead: remove_person(deal=deal, lead=lead),
                                    lambda deal, lead: replace_people(deal=deal, leads=[])])  # fmt: skip
def test_whoever_is_removed_is_locked_with_the_lead_and_before_the_deal(
    deal, grace, change
):
    add_person(deal=deal, lead=grace)

    with CaptureQueriesContext(connection) as queries:
        change(deal, grace)

    locks = [each["sql"] for each in queries if "FOR NO KEY UPDATE" in each["sql"]]
    assert [("crm_lead" in sql, str(grace.pk) in sql) for sql in locks] == [
        (True, True),
        (False, False),
    ]
    assert not DealPerson.objects.exists()


def test_what_happened_to_a_deal_of_an_erased_person_stays_theirs(deal, grace):
    ada = deal.lead
    add_person(deal=deal, lead=grace)
    erase_lead_in_test(ada)

    change_lead(deal=deal, lead=grace)

    assert people(deal) == (grace.pk, set())
    assert list(CrmEvent.objects.filter(deal=deal).values_list("lead", flat=True)) == [
        ada.pk
    ]


@pytest.mark.parametrize("who", ["lead", "further"])
def test_a_lead_that_is_deleted_takes_its_place_along(deal, grace, who):
    add_person(deal=deal, lead=grace)

    delete(row=deal.lead if who == "lead" else grace)

    assert not DealPerson.objects.exists()
    assert Deal.objects.exists() == (who == "further")


def test_the_question_before_leads_are_deleted_counts_the_deals_of_others(
    company, deal, grace
):
    add_person(deal=deal, lead=grace)

    assert belongings_of(company, Lead.objects.filter(pk=grace.pk)).shared_deals == 1
    assert belongings_of(company, Lead.objects.filter(pk=grace.pk)).deals == 0
    mary = make_lead(company, first_name="Mary", email="mary@example.com")
    add_person(deal=deal, lead=mary)
    others = Lead.objects.exclude(pk=deal.lead_id)
    # However many of its people go.
    assert belongings_of(company, others).shared_deals == 1
    everyone = belongings_of(company, Lead.objects.all())
    assert (everyone.deals, everyone.shared_deals) == (1, 0)  # it goes with its lead


def test_neither_an_undo_nor_that_of_an_import_removes_a_lead_that_is_on_a_deal(
    company, deal
):
    action = uuid.uuid4()
    with acting_as(None, action=action):
        mary = make_lead(company, first_name="Mary", email="mary@example.com")
    DealPerson.objects.create(company=company, deal=deal, lead=mary)
    lead_import = LeadImport.objects.create(
        company=company, file_name="fair.csv", size=1, reached=1
    )
    row = LeadImportRow.objects.create(
        company=company,
        lead_import=lead_import,
        number=1,
        cells=[],
        outcome="new",
        lead=mary,
    )

    undo_chunk(lead_import, 10)
    undone = undo(company=company, action=action)

    assert again(row).undo == "kept"
    assert undone.changed_since == [mary]
    assert Lead.objects.filter(pk=mary.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_an_erased_person_is_no_person_of_a_deal_any_more(deal, grace):
    add_person(deal=deal, lead=grace)

    erase_lead(lead=grace)

    assert not DealPerson.objects.exists()
    assert again(deal).title == deal.title  # it is about someone else


# Merges: each row is (the lead of the deal, its further people) before the merge, which its undo restores, and after.
KEPT, GONE, OTHER = "kept", "gone", "other"
MERGES = [
    (OTHER, {GONE}, OTHER, {KEPT}),
    (OTHER, {KEPT}, OTHER, {KEPT}),
    (OTHER, {KEPT, GONE}, OTHER, {KEPT}),
    (KEPT, {GONE}, KEPT, set()),
    (GONE, {KEPT}, KEPT, set()),
    (GONE, {OTHER}, KEPT, {OTHER}),
    (GONE, {KEPT, OTHER}, KEPT, {OTHER}),
]


@pytest.fixture
def three(company, grace):
    return {
        KEPT: grace,
        GONE: make_lead(
            company, first_name="G.", last_name="Hopper", email="gone@example.com"
        ),
        OTHER: make_lead(company, first_name="Mary", email="mary@example.com"),
    }


def shared_deal(three, lead, others):
    deal = make_deal(three[lead])
    for name in sorted(others):
        add_person(deal=deal, lead=three[name])
    return deal


def named(three, deal):
    names = {lead.pk: name for name, lead in three.items()}
    lead, others = people(deal)
    return names[lead], {names[pk] for pk in others}


@pytest.mark.parametrize(("lead", "others", "merged_lead", "merged_others"), MERGES)
def test_a_merge_leaves_each_person_one_place_and_its_undo_gives_both_back(
    sales, three, lead, others, merged_lead, merged_others
):
    with acting_as(sales.user):
        deal = shared_deal(three, lead, others)

    merge = merge_leads(kept=three[KEPT], gone=three[GONE])
    assert named(three, deal) == (merged_lead, merged_others)
    undone = undo_merge(merge=merge)

    assert named(three, deal) == (lead, others)
    assert set(DealPerson.objects.values_list("added_by", flat=True)) == {sales.user_id}
    assert undone.changed_since == []


def test_an_undo_of_a_merge_leaves_what_has_been_changed_since(three):
    removed, moved = (shared_deal(three, OTHER, {GONE}) for _ in range(2))
    swapped, deleted = (
        shared_deal(three, GONE, {KEPT, OTHER}),
        shared_deal(three, GONE, {KEPT}),
    )
    merge = merge_leads(kept=three[KEPT], gone=three[GONE])
    remove_person(deal=removed, lead=three[KEPT])
    change_lead(deal=again(moved), lead=three[KEPT])
    change_lead(deal=again(swapped), lead=three[OTHER])
    delete(row=again(deleted))

    undone = undo_merge(merge=merge)

    assert named(three, removed) == (OTHER, set())
    assert named(three, moved) == (KEPT, {OTHER})
    assert named(three, swapped) == (OTHER, {KEPT})
    assert undone.changed_since == ["2 deals", "2 shared deals"]


def test_no_company_has_a_person_of_another_one(other_company, deal):
    """The services find none of another company's leads, and PostgreSQL refuses the row itself."""
    stranger = make_lead(other_company)

    for change in (change_lead, add_person):
        with pytest.raises(PersonErased):
            change(deal=deal, lead=stranger)

    assert people(deal) == (deal.lead_id, set())


def test_the_database_lets_no_row_join_two_companies(other_company, deal):

    with pytest.raises(IntegrityError), transaction.atomic():
        DealPerson.objects.create(
            company=deal.company, deal=deal, lead=make_lead(other_company)
        )
        connection.check_constraints()
