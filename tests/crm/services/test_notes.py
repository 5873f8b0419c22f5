"""Notes: by whom, until when they can be changed, and that none outlives the person or what it is on."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import ApiKey, Change, CrmEvent, Lead, Note
from crm.models.lead import PersonErased
from crm.models.roles import Role
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.services.editing import ChangedMeanwhile, delete, version_of
from crm.services.erasure import erase_lead
from crm.services.notes import NotEditable, add_note, edit_note, may_delete, may_edit
from tests.conftest import join, make_deal, make_lead, make_note

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def written(note, ago):
    Note.objects.filter(pk=note.pk).update(created_at=timezone.now() - ago)
    note.refresh_from_db()
    return note


def test_a_note_says_who_wrote_it(sales, company):
    lead = make_lead(company)
    key, _ = ApiKey.objects.issue(company=company, role="sales", name="Telephone")

    by_sales = make_note(sales, lead)
    by_key = add_note(
        note=Note(company=company, lead=lead, kind="call", text="Six minutes"),
        author=key,
    )

    assert (by_sales.actor, by_sales.api_key, str(by_sales)) == (
        sales.user,
        None,
        "Note",
    )
    assert (by_key.actor, by_key.api_key, str(by_key)) == (None, key, "Call")


def test_a_note_changes_nothing_but_the_history(sales, company):
    deal = make_deal(make_lead(company))
    Lead.objects.update(updated_at=timezone.now() - timedelta(days=3))
    before = (
        Lead.objects.get().updated_at,
        CrmEvent.objects.count(),
        Change.objects.count(),
    )

    note = make_note(sales, deal)
    note.text = "Wants fifty"
    edit_note(note=note, author=sales)
    note.delete()

    assert (
        Lead.objects.get().updated_at,
        CrmEvent.objects.count(),
        Change.objects.count(),
    ) == before


def test_its_author_can_edit_and_delete_it_for_an_hour_and_an_admin_delete_it_later(
    sales, admin, company
):
    colleague = join(company, Role.SALES, email="other@example.com")
    note = make_note(sales, make_lead(company))

    rights = [
        (may_edit(note, each), may_delete(note, each))
        for each in (sales, colleague, admin)
    ]
    written(note, 61 * MINUTE)
    later = [
        (may_edit(note, each), may_delete(note, each))
        for each in (sales, colleague, admin)
    ]

    assert rights == [(True, True), (False, False), (False, True)]
    assert later == [(False, False), (False, False), (False, True)]


def test_someone_who_may_no_longer_edit_leads_edits_no_note(sales, company):
    note = make_note(sales, make_lead(company))
    sales.role = "ops"

    assert (may_edit(note, sales), may_delete(note, sales)) == (False, False)


@pytest.mark.parametrize(
    ("ago", "is_saved"), [(59 * MINUTE, True), (61 * MINUTE, False)]
)
def test_an_edit_is_saved_within_the_hour(sales, company, ago, is_saved):
    note = written(make_note(sales, make_lead(company)), ago)
    note.text = "Wants fifty"

    if is_saved:
        edit_note(note=note, author=sales)
    else:
        with pytest.raises(NotEditable, match="more than an hour"):
            edit_note(note=note, author=sales)

    left = Note.objects.get()
    assert (left.text, left.edited_at is not None) == (
        ("Wants fifty", True) if is_saved else ("Wants forty seats", False)
    )


def test_the_hour_is_the_databases(sales, company):
    note = make_note(sales, make_lead(company))
    # The form was opened before.
    Note.objects.update(created_at=timezone.now() - 61 * MINUTE)
    note.text = "Wants fifty"

    with pytest.raises(NotEditable):
        edit_note(note=note, author=sales)

    assert Note.objects.get().text == "Wants forty seats"


def test_nobody_edits_another_persons_note(sales, admin, company):
    note = make_note(sales, make_lead(company))
    note.text = "Wants fifty"

    with pytest.raises(NotEditable, match="person who wrote"):
        edit_note(note=note, author=admin)

    assert Note.objects.get().edited_at is None


def test_the_second_of_two_edits_is_refused(sales, company):
    note = make_note(sales, make_lead(company))
    one, other, version = Note.objects.get(), Note.objects.get(), version_of(note)
    one.text, other.text = "Wants fifty", "Wants sixty"
    edit_note(note=one, author=sales, version=version)

    with pytest.raises(ChangedMeanwhile):
        edit_note(note=other, author=sales, version=version)

    assert Note.objects.get().text == "Wants fifty"


def test_saving_it_as_it_was_is_no_edit(sales, company):
    note = make_note(sales, make_lead(company))

    edit_note(note=note, author=sales)

    assert Note.objects.get().edited_at is None


@pytest.mark.parametrize("on_deal", [False, True])
def test_nothing_is_written_about_someone_who_has_been_erased_meanwhile(
    sales, company, on_deal
):
    lead = make_lead(company)
    subject = make_deal(lead) if on_deal else lead
    Lead.objects.update(
        erased_at=timezone.now(), first_name="", email="", share_with_ad_platforms=False
    )

    with pytest.raises(PersonErased):
        make_note(sales, subject)

    assert not Note.objects.exists()


def test_nothing_is_written_on_a_deal_that_has_been_deleted_meanwhile(sales, company):
    deal = make_deal(make_lead(company))
    type(deal).objects.get().delete()

    with pytest.raises(DeletedMeanwhile):
        make_note(sales, deal)

    assert not Note.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("S37")
def test_an_erasure_deletes_what_was_written_about_the_person_and_their_deals(
    sales, company
):
    lead, other = make_lead(company), make_lead(company, first_name="Grace", email="")
    moved = make_deal(other)
    for subject in (lead, make_deal(lead), moved):
        make_note(sales, subject)
    kept = make_note(sales, other)
    type(moved).objects.filter(pk=moved.pk).update(lead=lead)

    erase_lead(lead=lead)

    assert list(Note.objects.all()) == [kept]


def test_notes_go_with_their_lead_and_with_their_deal_and_stay_on_a_deal_that_was_moved(
    sales, company
):
    lead, other = make_lead(company), make_lead(company, first_name="Grace", email="")
    moved, deal = make_deal(lead), make_deal(lead)
    on_moved, _, _ = (make_note(sales, subject) for subject in (moved, deal, lead))
    type(moved).objects.filter(pk=moved.pk).update(lead=other)

    delete(row=deal)
    after_the_deal = Note.objects.count()
    delete(row=lead)

    assert after_the_deal == 2
    assert list(Note.objects.values_list("pk", "lead", "deal")) == [
        (on_moved.pk, None, moved.pk)
    ]
