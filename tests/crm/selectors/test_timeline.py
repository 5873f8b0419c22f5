"""A lead's page with its timeline, and how other applications add what they know."""

import pytest

from crm.models import Stage
from crm.models.tracking import acting_as
from crm.selectors import timeline
from crm.selectors.timeline import TimelineNote
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nobody else has something to tell."""
    monkeypatch.setattr(timeline, "timeline_notes", [])


def test_it_tells_of_the_lead_and_its_deals_newest_first(company, sales):
    with acting_as(sales.user):
        lead = make_lead(company)
        make_deal(lead, stage=Stage.objects.for_company(company).get(name="Won"))

    told = timeline.of_lead(lead)

    assert [entry.title for entry in told.entries] == ["Deal won", "Deal created", "Lead created"]
    assert {entry.event.actor for entry in told.entries} == {sales.user}
    assert told.is_cut is False


def test_a_deals_timeline_leaves_out_its_lead(company):
    deal = make_deal(make_lead(company))

    assert [entry.title for entry in timeline.of_deal(deal).entries] == ["Deal created"]


@pytest.fixture
def note(monkeypatch):
    note = TimelineNote("Sent to somebody", "good", "/somewhere/")
    monkeypatch.setattr(timeline, "timeline_notes", [lambda events: {events[0].pk: [note]}, lambda events: {}])
    return note


def test_notes_of_others_stand_with_their_event(client_as, admin, company, note):
    lead = make_lead(company)

    response = client_as(admin).get(f"/leads/{lead.pk}/")

    assert response.context["timeline"].entries[0].notes == [note]
    assert '<a class="badge good" href="/somewhere/">Sent to somebody</a>' in response.content.decode()


def test_a_note_is_no_link_for_those_who_may_not_see_the_event_log(client_as, sales, company, note):
    lead = make_lead(company)

    response = client_as(sales).get(f"/leads/{lead.pk}/")

    assert '<span class="badge good">Sent to somebody</span>' in response.content.decode()
    assert "/somewhere/" not in response.content.decode()


def test_a_very_long_timeline_is_cut_and_says_so(client_as, sales, company, monkeypatch):
    monkeypatch.setattr(timeline, "ENTRIES_AT_MOST", 2)
    lead = make_lead(company)
    make_deal(lead)
    make_deal(lead)

    response = client_as(sales).get(f"/leads/{lead.pk}/")

    assert len(response.context["timeline"].entries) == 2
    assert "Older entries are not shown here." in response.content.decode()


def test_what_was_typed_is_never_markup(client_as, sales, company):
    lead = make_lead(company, first_name="<b>Ada</b>", notes="<script>alert(1)</script>")
    make_deal(lead, title="<i>Deal</i>")

    text = client_as(sales).get(f"/leads/{lead.pk}/").content.decode()

    assert "<b>Ada" not in text
    assert "<script>alert" not in text
    assert "<i>Deal" not in text


def test_the_number_of_queries_does_not_grow_with_the_deals(client_as, sales, company, django_assert_num_queries):
    lead = make_lead(company)
    for number in range(5):
        make_deal(lead, title=f"Deal {number}")
    client = client_as(sales)

    # session, user, memberships, lead, statuses, deals, tasks, timeline
    with django_assert_num_queries(15):
        client.get(f"/leads/{lead.pk}/")
