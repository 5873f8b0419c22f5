"""Merging two leads: what moves to the one that is kept, what an undo brings back, and what is refused."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from crm.data_exchange.importing.matching import existing_leads, person_key
from crm.models import (
    AuditEntry,
    Change,
    CrmEvent,
    CustomField,
    Deal,
    FieldSubject,
    FieldType,
    Lead,
    LeadImport,
    LeadMerge,
    LeadTag,
    LeadType,
    Note,
    Stage,
    Tag,
    Task,
)
from crm.models.lead import DealReassigned, LeadMerged
from crm.models.lead_duplicate import likely_duplicates
from crm.models.tracking.origin import acting_as
from crm.selectors import timeline
from crm.services.editing import ChangedMeanwhile, delete, move_deal, unchanged_since
from crm.services.erasure import erase_lead, locking_person
from crm.services.lead_merges import MergeRefused, merge_leads, version_of_both
from crm.services.merge_undo import undo_merge
from crm.services.notes import add_note
from crm.services.undo import undo
from tests.capi.delivery.test_duplicates import pick
from tests.capi.delivery.test_merges import qualify
from tests.conftest import make_deal, make_lead, make_task
from tests.crm.files import make_file

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(company):
    return make_lead(
        company,
        first_name="Pieter",
        last_name="Dekker",
        email="pieter@granite.example",
        notes="Met once",
    )


@pytest.fixture
def gone(company):
    return make_lead(company, first_name="P.", last_name="Dekker", email="p.dekker@mail.example", title="Head of Fleet",
                     phone="+31 20 555 0142", notes="Called back")  # fmt: skip


def again(row):
    return type(row)._base_manager.get(pk=row.pk)


def rows():
    """All rows that a merge moves, each with its present lead."""
    return [
        list(model._base_manager.order_by("pk").values_list("pk", column))
        for model, column in (
            (Deal, "lead"),
            (Task, "lead"),
            (CrmEvent, "lead"),
            (LeadTag, "lead"),
        )
    ]


def person(lead):
    return {
        name: getattr(again(lead), name)
        for name in ("first_name", "email", "phone", "title", "notes", "custom")
    }


def test_the_kept_lead_has_what_was_chosen_and_the_notes_of_both(kept, gone):
    merge_leads(kept=kept, gone=gone, taken=["title", "phone", "nonsense"])

    assert person(kept) == {
        "first_name": "Pieter", "email": "pieter@granite.example", "phone": "+31 20 555 0142", "title": "Head of Fleet",
        "notes": "Met once\n\nCalled back", "custom": {},
    }  # fmt: skip


def test_deals_tasks_tags_and_history_follow(company, sales, kept, gone):
    deal, task = make_deal(gone), make_task(sales, lead=gone)
    note, file = (
        Note.objects.create(company=company, lead=gone, text="Called"),
        make_file(sales, gone),
    )
    both, one = (
        Tag.objects.create(company=company, name=name) for name in ("Fleet", "Fair")
    )
    for lead, tag in ((kept, both), (gone, both), (gone, one)):
        LeadTag.objects.create(company=company, lead=lead, tag=tag)

    merge_leads(kept=kept, gone=gone)

    assert {again(row).lead for row in (deal, task, note, file)} == {kept}
    assert set(kept.tags.all()) == {both, one}
    assert not gone.tags.exists()
    titles = [entry.title for entry in timeline.of_lead(kept).entries]
    assert titles.count("Lead created") == 2
    assert "Merge: P. Dekker → Pieter Dekker" in titles


def test_what_is_added_to_a_note_goes_back_with_it(company, sales, kept, gone):
    note = Note.objects.create(company=company, lead=gone, text="Called")
    merge = merge_leads(kept=kept, gone=gone)
    on_note, on_lead = make_file(sales, again(note)), make_file(sales, kept)

    undo_merge(merge=merge)

    assert [again(row).lead for row in (note, on_note, on_lead)] == [gone, gone, kept]


def test_an_undo_brings_everything_back(company, sales, kept, gone):
    file = make_file(sales, make_deal(gone))
    make_task(sales, lead=gone)
    tag = Tag.objects.create(company=company, name="Fleet")
    for lead in (kept, gone):
        LeadTag.objects.create(company=company, lead=lead, tag=tag)
    CustomField.objects.create(
        company=company,
        subject=FieldSubject.LEAD,
        key="plan",
        name="Plan",
        type=FieldType.TEXT,
    )
    Lead.objects.filter(pk=gone.pk).update(custom={"plan": "gold"})
    before = (
        rows()[:3],
        person(kept),
        person(gone),
        set(LeadTag.objects.values_list("lead", "tag")),
    )

    merge = merge_leads(
        kept=kept, gone=gone, taken=["title", "phone", "email", "name", "custom.plan"]
    )
    assert person(kept)["custom"] == {"plan": "gold"}
    result = undo_merge(merge=merge)

    assert result.changed_since == []
    assert again(file).lead == gone
    assert (
        rows()[:3],
        person(kept),
        person(gone),
        set(LeadTag.objects.values_list("lead", "tag")),
    ) == before
    assert again(gone).is_current
    assert timeline.of_lead(gone).entries[0].title.startswith("Undone: Merge")
    assert not LeadMerge.objects.exists()


def test_what_was_changed_since_stays_and_is_named(sales, kept, gone):
    deal, task = make_deal(gone), make_task(sales, lead=gone)
    merge = merge_leads(kept=kept, gone=gone, taken=["title", "phone"])
    Lead.objects.filter(pk=kept.pk).update(phone="0")
    task.delete()

    result = undo_merge(merge=merge)

    assert result.changed_since == ["Phone", "1 task"]
    assert (person(kept)["phone"], person(kept)["title"], again(deal).lead) == (
        "0",
        "",
        gone,
    )


def test_a_deal_that_was_won_since_takes_its_event_back_with_it(kept, gone):
    deal = make_deal(gone)
    merge = merge_leads(kept=kept, gone=gone)
    deal = again(deal)
    deal.stage = Stage.objects.get(company=deal.company, meaning="won")
    deal.save()
    note = Note.objects.create(
        company=deal.company, lead=kept, deal=deal, text="Signed"
    )
    assert CrmEvent.objects.get(kind="deal_won").lead == kept

    undo_merge(merge=merge)

    assert CrmEvent.objects.get(kind="deal_won").lead == gone
    assert again(note).lead == gone


def test_the_merged_lead_is_in_no_list_and_its_address_is_the_kept_ones(
    company, kept, gone
):
    merge_leads(kept=kept, gone=gone)

    everyone = Lead.objects.for_company(company)
    assert list(everyone.current()) == [kept]
    assert list(everyone.current().search("p.dekker@mail.example")) == []
    assert [
        each.lead for each in likely_duplicates(Lead(company=company, email=gone.email))
    ] == [kept]
    row, lead_import = (
        {"email": gone.email},
        LeadImport.objects.create(company=company, size=1),
    )
    assert existing_leads(lead_import, {person_key(row): row}, locks=False) == {
        person_key(row): kept
    }


def test_what_can_not_be_merged_is_refused_in_a_sentence(company, kept, gone):
    other = make_lead(company, email="third@example.com")
    merge_leads(kept=kept, gone=gone)

    for first, second, words in (
        (kept, kept, "two different leads"),
        (gone, kept, "already been merged into Pieter Dekker"),
        (kept, gone, "already been merged into Pieter Dekker"),
        (other, Lead(pk=0, company=company), "deleted since"),
    ):
        with pytest.raises(MergeRefused, match=words):
            merge_leads(kept=first, gone=second)
    Lead.objects.filter(pk=other.pk).update(notes="x" * 19_990)
    with pytest.raises(MergeRefused, match="too long"):
        merge_leads(kept=kept, gone=other)


def test_another_companys_lead_is_out_of_reach(other_company, kept):
    with pytest.raises(MergeRefused):
        merge_leads(kept=kept, gone=make_lead(other_company))


def test_the_database_keeps_companies_apart(other_company, kept):
    with pytest.raises(IntegrityError), transaction.atomic():
        Lead.objects.filter(pk=make_lead(other_company).pk).update(merged_into=kept)
        connection.check_constraints()


def test_leads_that_were_changed_since_the_page_was_opened_are_not_merged(kept, gone):
    version = version_of_both(kept, gone)
    Lead.objects.filter(pk=gone.pk).update(title="Chair", updated_at=Now())

    with pytest.raises(ChangedMeanwhile):
        merge_leads(kept=kept, gone=gone, version=version)

    assert again(gone).is_current


def test_merges_of_merges_are_undone_in_turn(company, kept, gone):
    last = make_lead(company, email="last@example.com")
    first_merge = merge_leads(kept=kept, gone=gone)
    second_merge = merge_leads(kept=last, gone=kept)
    assert again(gone).merged_into == last

    with pytest.raises(MergeRefused, match="Undo that first"):
        undo_merge(merge=first_merge)
    undo_merge(merge=second_merge)
    assert again(gone).merged_into == kept
    undo_merge(merge=first_merge)

    assert Lead.objects.current().count() == 3
    assert all(lead.crm_events.count() == 1 for lead in Lead.objects.all())


def test_a_merge_can_be_undone_once_and_for_a_day(kept, gone):
    merge = merge_leads(kept=kept, gone=gone)
    LeadMerge.objects.update(merged_at=Now() - timedelta(hours=25))
    with pytest.raises(MergeRefused, match="nothing to undo"):
        undo_merge(merge=merge)
    LeadMerge.objects.update(merged_at=Now())
    undo_merge(merge=merge)

    with pytest.raises(MergeRefused, match="nothing to undo"):
        undo_merge(merge=merge)


@pytest.mark.parametrize("fields", [None, ["title"], ["share_with_ad_platforms"]])
def test_nothing_is_written_to_a_merged_lead_by_a_form_that_was_open(
    kept, gone, fields
):
    form = again(gone)
    merge_leads(kept=kept, gone=gone)

    form.title, form.share_with_ad_platforms = "Chair", False
    with pytest.raises(LeadMerged), transaction.atomic():
        form.save(update_fields=fields)
    with pytest.raises(LeadMerged), locking_person(gone.pk):
        pass

    assert (again(gone).merged_into, again(gone).title) == (kept, "Head of Fleet")
    assert again(gone).share_with_ad_platforms


def test_a_merged_lead_is_not_deleted_by_itself(kept, gone):
    merge_leads(kept=kept, gone=gone)

    with pytest.raises(LeadMerged):
        delete(row=gone)

    assert again(gone).merged_into == kept


@pytest.mark.django_db(transaction=True)
def test_a_person_is_erased_by_the_lead_that_was_kept_alone(kept, gone):
    merge_leads(kept=kept, gone=gone)

    with pytest.raises(LeadMerged):
        erase_lead(lead=gone)

    assert again(gone).email == "p.dekker@mail.example"
    assert LeadMerge.objects.exists()


def test_a_form_of_a_deal_that_an_undo_has_moved_does_not_move_it_back(kept, gone):
    deal = make_deal(gone)
    merge = merge_leads(kept=kept, gone=gone)
    form = again(deal)
    undo_merge(merge=merge)

    with pytest.raises(ChangedMeanwhile), unchanged_since("", form):
        form.save()

    assert again(deal).lead == gone


def test_an_earlier_change_of_the_merged_lead_is_not_undone_before_the_merge(
    company, kept, gone
):
    company.grace_seconds = 60
    company.save()
    action = pick(gone, "qualified")
    merge = merge_leads(kept=kept, gone=gone)

    assert undo(company=company, action=action).merged == [gone]
    assert not CrmEvent.objects.filter(taken_back_at__isnull=False).exists()
    undo_merge(merge=merge)
    assert undo(company=company, action=action).put_back == [gone]

    assert CrmEvent.objects.get(kind="lead_qualified").taken_back_at is not None


def test_a_change_of_the_kept_lead_can_still_be_undone(company, kept, gone):
    company.grace_seconds = 60
    company.save()
    action = pick(kept, "qualified")
    merge_leads(kept=kept, gone=gone)

    assert undo(company=company, action=action).put_back == [kept]
    assert again(kept).status.meaning == "new"


def test_a_taken_status_is_in_the_history_and_no_event(sales, kept, gone):
    qualify(gone)

    with acting_as(sales.user):
        merge_leads(kept=kept, gone=gone, taken=["status"])

    assert CrmEvent.objects.filter(kind="lead_qualified").count() == 1
    assert (
        Change.objects.filter(lead=kept, field="status", actor=sales.user).count() == 1
    )
    assert AuditEntry.objects.get(action="leads_merged").details == {"merged": gone.pk}


@pytest.mark.django_db(transaction=True)
def test_erasing_the_kept_lead_erases_the_merged_one_and_what_an_undo_would_need(
    kept, gone
):
    merge = merge_leads(kept=kept, gone=gone, taken=["phone"])

    erase_lead(lead=kept)

    assert [lead.email + lead.phone + lead.notes for lead in Lead.objects.all()] == [
        "",
        "",
    ]
    assert not LeadMerge.objects.exists()
    with pytest.raises(MergeRefused, match="erased"):
        undo_merge(merge=merge)
    with pytest.raises(MergeRefused, match="erased"):
        merge_leads(kept=make_lead(kept.company), gone=kept)


def test_deleting_the_kept_lead_deletes_what_was_merged_into_it(kept, gone):
    merge_leads(kept=kept, gone=gone)

    delete(row=again(kept))

    assert not Lead.objects.exists()
    assert AuditEntry.objects.get(action="lead_deleted").details == {
        "deals": [],
        "merged": [gone.pk],
    }


def test_an_undo_of_a_merge_whose_lead_was_deleted_is_refused(kept, gone):
    merge = merge_leads(kept=kept, gone=gone)
    delete(row=again(kept))

    with pytest.raises(
        MergeRefused, match="Nothing was changed: one of the two leads has been deleted"
    ):
        undo_merge(merge=merge)


def test_a_type_that_was_deleted_since_does_not_come_back(company, kept, gone):
    old, new = (
        LeadType.objects.create(company=company, name=name, code=name.lower())
        for name in ("Old", "New")
    )
    Lead.objects.filter(pk=kept.pk).update(type=old.code)
    Lead.objects.filter(pk=gone.pk).update(type=new.code)
    merge = merge_leads(kept=again(kept), gone=again(gone), taken=["type"])
    old.delete()

    assert undo_merge(merge=merge).changed_since == ["Type"]
    assert again(kept).type == new.code


def test_half_of_a_name_that_was_changed_since_does_not_go_back(kept, gone):
    merge = merge_leads(kept=kept, gone=gone, taken=["name"])
    Lead.objects.filter(pk=kept.pk).update(last_name="Deckers")

    separated = undo_merge(merge=merge)

    assert (separated.kept.name, separated.changed_since) == ("P. Deckers", ["Name"])


def test_a_lead_that_nothing_would_tell_from_others_is_not_made(company, gone):
    nameless = make_lead(company, first_name="", last_name="", email="k@example.com")
    Lead.objects.filter(pk=gone.pk).update(email="")

    with pytest.raises(MergeRefused, match="neither a name nor an e-mail address"):
        merge_leads(kept=nameless, gone=gone, taken=["email"])
    merge = merge_leads(kept=nameless, gone=gone, taken=["name"])
    Lead.objects.filter(pk=nameless.pk).update(email="")
    separated = undo_merge(merge=merge)

    assert (separated.kept.name, separated.changed_since) == ("P. Dekker", ["Name"])


@pytest.mark.parametrize("add", ["a note", "a file", "a task", "a reason for a loss"])
def test_nothing_that_is_added_to_a_deal_goes_to_a_lead_that_no_longer_has_it(
    kept, gone, sales, add
):
    pk = make_deal(gone).pk
    merge = merge_leads(kept=kept, gone=gone)
    deal = Deal.objects.select_related("lead", "stage").get(pk=pk)
    undo_merge(merge=merge)

    with pytest.raises(DealReassigned, match="belongs to another lead"):
        if add == "a note":
            note = Note(
                company=sales.company, lead=deal.lead, deal=deal, text="Call back"
            )
            add_note(note=note, author=sales)
        elif add == "a file":
            make_file(sales, deal)
        elif add == "a task":
            make_task(sales, deal=deal)
        else:
            move_deal(
                deal=deal,
                stage=Stage.objects.get(company=sales.company, meaning="lost"),
                outcome_note="Too dear",
            )
