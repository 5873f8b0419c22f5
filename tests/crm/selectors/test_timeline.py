"""A lead's page with its timeline, and how other applications add what they know."""

import pytest
from django.utils import timezone

from crm.models import Change, Note, Stage
from crm.models.tracking.origin import acting_as
from crm.selectors import timeline
from crm.selectors.timeline import EventOutcome
from tests.conftest import make_deal, make_lead, make_note

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No other application adds to the timeline."""
    monkeypatch.setattr(timeline, "event_outcomes", [])


def test_it_tells_of_the_lead_and_its_deals_newest_first(company, sales):
    with acting_as(sales.user):
        lead = make_lead(company)
        make_deal(lead, stage=Stage.objects.for_company(company).get(name="Won"))

    told = timeline.of_lead(lead)

    assert [entry.title for entry in told.entries] == [
        "Deal won",
        "Deal created",
        "Lead created",
    ]
    assert {entry.event.actor for entry in told.entries} == {sales.user}
    assert told.older == ""


def test_a_change_of_a_later_version_is_in_it_without_words_of_its_own(company):
    lead = make_lead(company)
    Change.objects.create(
        company=company, lead=lead, field="shoe size", old="41", new="42"
    )

    assert [entry.title for entry in timeline.of_lead(lead).entries] == [
        "Changed",
        "Lead created",
    ]


def test_a_deals_timeline_leaves_out_its_lead(company):
    deal = make_deal(make_lead(company))

    assert [entry.title for entry in timeline.of_deal(deal).entries] == ["Deal created"]


@pytest.fixture
def note(monkeypatch):
    note = EventOutcome("Sent to somebody", "good", "/somewhere/")
    monkeypatch.setattr(
        timeline,
        "event_outcomes",
        [lambda events: {events[0].pk: [note]}, lambda events: {}],
    )
    return note


def test_notes_of_others_stand_with_their_event(client_as, admin, company, note):
    lead = make_lead(company)

    response = client_as(admin).get(f"/leads/{lead.pk}/")

    assert response.context["timeline"].entries[0].outcomes == [note]
    assert (
        '<a class="badge good" href="/somewhere/">Sent to somebody</a>'
        in response.content.decode()
    )


def test_a_note_is_no_link_for_those_who_may_not_see_the_event_log(
    client_as, sales, company, note
):
    lead = make_lead(company)

    response = client_as(sales).get(f"/leads/{lead.pk}/")

    assert (
        '<span class="badge good">Sent to somebody</span>' in response.content.decode()
    )
    assert "/somewhere/" not in response.content.decode()


def test_a_long_timeline_has_pages_with_every_entry_once(
    client_as, sales, company, monkeypatch
):
    monkeypatch.setattr(timeline, "ENTRIES_AT_MOST", 2)
    lead = make_lead(company)
    for number in range(4):
        make_note(sales, lead, text=f"Note {number}")
        make_deal(lead)
    client, query, pages = client_as(sales), "", []

    while not pages or pages[-1].older:
        shown = client.get(f"/leads/{lead.pk}/{query}")
        pages.append(shown.context["timeline"])
        query = f"?before={pages[-1].older}"

    found = [entry for page in pages for entry in page.entries]
    times = [entry.occurred_at for entry in found]
    assert len(found) == len({entry.source for entry in found}) == 9
    assert times == sorted(times, reverse=True)
    assert [page.is_first for page in pages] == [True, *[False] * (len(pages) - 1)]
    assert "Back to newest" in shown.content.decode()


def test_entries_of_one_moment_are_on_one_page(sales, company, monkeypatch):
    monkeypatch.setattr(timeline, "ENTRIES_AT_MOST", 2)
    lead = make_lead(company)
    notes = [make_note(sales, lead) for _ in range(3)]
    Note.objects.update(created_at=timezone.now())

    first = timeline.of_lead(lead, sales)

    assert {entry.source for entry in first.entries} == set(notes)
    assert [
        entry.title
        for entry in timeline.of_lead(lead, sales, before=first.older).entries
    ] == ["Lead created"]


@pytest.mark.parametrize("before", ["x", "-1", "1" * 17, "\x00", "\u0663", "9" * 16])
def test_a_page_that_begins_nowhere_is_the_first_one(client_as, sales, company, before):
    lead = make_lead(company)

    page = client_as(sales).get(f"/leads/{lead.pk}/", {"before": before})

    assert [entry.title for entry in page.context["timeline"].entries] == [
        "Lead created"
    ]


def test_many_notes_hide_no_outcome(sales, company, note, monkeypatch):
    monkeypatch.setattr(timeline, "ENTRIES_AT_MOST", 2)
    lead = make_lead(company)
    for _ in range(3):
        make_note(sales, lead)

    first = timeline.of_lead(lead, sales)

    assert first.outcome == note
    # Older events alone could mislead.
    assert timeline.of_lead(lead, sales, before=first.older).outcome is None


def test_what_was_typed_is_never_markup(client_as, sales, company):
    lead = make_lead(
        company, first_name="<b>Ada</b>", notes="<script>alert(1)</script>"
    )
    make_deal(lead, title="<i>Deal</i>")

    text = client_as(sales).get(f"/leads/{lead.pk}/").content.decode()

    assert "<b>Ada" not in text
    assert "<script>alert" not in text
    assert "<i>Deal" not in text


def test_the_number_of_queries_does_not_grow_with_deals_and_notes(
    client_as, sales, company, django_assert_num_queries
):
    lead = make_lead(company)
    for number in range(5):
        make_note(sales, make_deal(lead, title=f"Deal {number}"))
        make_note(sales, lead)
    client = client_as(sales)

    # session, user, members, lead, external ids, statuses, deals, those of others, tasks, files, space, and the
    # timeline with notes and files
    with django_assert_num_queries(21):
        client.get(f"/leads/{lead.pk}/")
