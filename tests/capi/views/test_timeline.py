"""The timeline of a lead shows the outcome of each CRM event at LinkedIn."""

import re
import uuid

import pytest
from django.urls import reverse

from capi import services
from capi.models import Connection, ConversionEvent
from capi.selectors import timeline
from crm.models import CrmEvent, LeadStatus
from crm.models.tracking.origin import acting_as
from tests.capi.conftest import send_all
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


def notes_of(lead) -> list[tuple[str, str]]:
    """Text and tone of each note, oldest first."""
    events = list(CrmEvent.objects.filter(lead=lead).order_by("pk"))
    by_id = timeline.outcomes(events)
    return [(note.text, note.tone) for event in events for note in by_id[event.pk]]


def test_a_sent_event_names_moment_and_rule(company, connected, make_rule) -> None:
    make_rule(name="New lead")
    lead = make_lead(company)
    send_all(company)

    ((text, tone),) = notes_of(lead)

    moment = ConversionEvent.objects.get().settled_at
    assert text == f"Sent to LinkedIn {moment:%-d %b, %H:%M} (New lead)"
    assert tone == "good"


def test_each_rule_has_its_note(company, make_rule) -> None:
    make_rule(name="New lead", linkedin_id="104011")
    make_rule(name="Sign-up", linkedin_id="104012")
    lead = make_lead(company, email="")

    notes = notes_of(lead)

    assert [text for text, _ in notes] == [
        "Waiting for an e-mail (New lead)",
        "Waiting for an e-mail (Sign-up)",
    ]


def test_what_had_no_rule_at_its_time_says_so(company, make_rule) -> None:
    lead = make_lead(company)
    make_rule()

    notes = notes_of(lead)

    assert notes == [("No active rule at the time: not sent to LinkedIn", "plain")]


def test_an_event_on_hold_says_who_has_to_look(company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule(name="New lead")
    lead = make_lead(company)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    ((text, tone),) = notes_of(lead)

    assert text == "On hold (New lead): an admin needs to check the LinkedIn page"
    assert tone == "wait"


def test_an_event_on_hold_can_be_cancelled_from_the_lead_by_those_who_may(
    client_as, admin, ops, sales, company, make_rule
) -> None:
    make_rule(name="New lead")
    lead = make_lead(company)
    link = f'href="{reverse("events_cancel")}?event={ConversionEvent.objects.get().pk}"'

    pages = [
        client_as(member).get(lead.get_absolute_url()).content.decode()
        for member in (admin, ops, sales)
    ]

    assert [link in page for page in pages] == [True, True, False]


def test_an_event_in_its_grace_period_says_when_it_goes_out(company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule(name="New lead")
    company.grace_seconds = 30
    company.save()
    with acting_as(None, action=uuid.uuid4()):
        lead = make_lead(company)

    ((text, tone),) = notes_of(lead)

    assert re.fullmatch(
        r"In (30|2[5-9]) s \(New lead\): It is sent in \1 s. Until then, the change can be undone.",
        text,
    )
    assert tone == "wait"


def test_who_may_edit_the_lead_is_led_to_the_missing_address(
    client_as, sales, ops, company, make_rule
) -> None:
    make_rule()
    lead = make_lead(company, email="")

    pages = [
        client_as(member).get(lead.get_absolute_url()).content.decode()
        for member in (sales, ops)
    ]

    link = f'<a class="small" href="{reverse("lead_edit", args=[lead.pk])}">Enter an address</a>'
    assert [link in page for page in pages] == [True, False]


def test_all_notes_together_take_one_query(
    company, make_rule, django_assert_num_queries
) -> None:
    make_rule("lead_created")
    make_rule("lead_qualified")
    lead = make_lead(company)
    lead.status = LeadStatus.objects.get(company=company, meaning="qualified")
    lead.save()
    events = list(CrmEvent.objects.all())

    with django_assert_num_queries(1):
        notes = timeline.outcomes(events)

    assert len(notes) == 2


def test_the_note_leads_to_the_event_for_those_who_may_see_the_log(
    client_as, admin, sales, company, make_rule
) -> None:
    make_rule()
    lead = make_lead(company)
    address = ConversionEvent.objects.get().get_absolute_url()

    pages = [
        client_as(member).get(lead.get_absolute_url()).content.decode()
        for member in (admin, sales)
    ]

    assert [address in page for page in pages] == [True, False]
    assert "On hold (Lead created)" in pages[1]
