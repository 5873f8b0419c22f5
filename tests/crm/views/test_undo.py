"""What people read after a change, and the Undo next to it."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason, State
from capi.models.lookups import pack_ids
from crm.models import (
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadStatus,
    Membership,
    Stage,
)
from crm.models.roles import Role
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

SECONDS = "(30|2[5-9]) s"  # fewer if the machine is busy


@pytest.fixture
def patient(company: Company) -> Company:
    company.grace_seconds = 30
    company.save()
    return company


@pytest.fixture
def reported(patient: Company, token: Connection, make_rule: Any) -> None:
    make_rule("lead_qualified")
    make_rule("deal_won")


def qualify(client: Any, lead: Lead) -> Any:
    status = LeadStatus.objects.get(company=lead.company, meaning="qualified")
    return client.post(f"/leads/{lead.pk}/status/", {"status": status.pk}, follow=True)


def undo_url(response: Any) -> str:
    return re.search(r'action="(/undo/[0-9a-f-]+/)"', response.content.decode()).group(
        1
    )


def texts(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_a_change_says_when_linkedin_is_told(
    client_as, sales, patient, reported
) -> None:
    response = qualify(client_as(sales), make_lead(patient))

    (text,) = texts(response)
    assert re.fullmatch(
        rf"Ada is now Qualified\. Sends to LinkedIn in {SECONDS}\.", text
    )


def test_a_change_that_no_rule_maps_says_nothing_of_linkedin_but_can_be_undone(
    client_as, sales, patient
) -> None:
    response = qualify(client_as(sales), make_lead(patient))

    assert texts(response) == ["Ada is now Qualified."]
    assert undo_url(response)


def test_while_sending_is_paused_it_says_so(
    client_as, sales, patient, reported
) -> None:
    Connection.objects.update(is_paused=True)

    response = qualify(client_as(sales), make_lead(patient))

    assert texts(response) == [
        "Ada is now Qualified. Sends to LinkedIn once sending continues."
    ]


def test_a_lead_without_an_address_is_told_of_when_it_has_one(
    client_as, sales, patient, reported
) -> None:
    response = qualify(client_as(sales), make_lead(patient, email=""))

    assert texts(response)[0].endswith(
        "Sends to LinkedIn once there is an e-mail address."
    )


def test_a_bulk_change_names_the_number_of_conversions(
    client_as, sales, patient, reported
) -> None:
    leads = [make_lead(patient, email=f"{number}@example.com") for number in range(3)]
    status = LeadStatus.objects.get(company=patient, meaning="qualified")
    form = {"status": status.pk, "lead": [lead.pk for lead in leads], "confirmed": "1"}

    response = client_as(sales).post("/leads/status/", form, follow=True)

    (text,) = texts(response)
    assert re.fullmatch(
        rf"3 leads are now Qualified\. Sends 3 conversions to LinkedIn in {SECONDS}\.",
        text,
    )


def buttons(response: Any) -> list[str]:
    """The words on the buttons that undo something in the history."""
    history = response.content.decode().partition('id="timeline"')[2]
    return re.findall(r"data-undo\s*>\s*(.+?)\s*<", history)


def test_the_history_offers_to_undo_what_waits_and_says_for_how_many(
    client_as, sales, ops, patient, reported
) -> None:
    alone, first, second = (make_lead(patient) for _ in range(3))
    status = LeadStatus.objects.get(company=patient, meaning="qualified")
    client = client_as(sales)
    qualify(client, alone)
    both = {"status": status.pk, "lead": [first.pk, second.pk], "confirmed": "1"}
    client.post("/leads/status/", both)

    assert buttons(client.get(f"/leads/{alone.pk}/")) == ["Undo"]
    assert buttons(client.get(f"/leads/{first.pk}/")) == ["Undo all 2"]
    assert buttons(client_as(ops).get(f"/leads/{first.pk}/")) == []

    CrmEvent.objects.update(release_at=Now())
    assert buttons(client.get(f"/leads/{alone.pk}/")) == []


def test_the_history_counts_those_who_had_no_event_among_what_it_undoes(
    client_as, sales, patient, reported
) -> None:
    status = LeadStatus.objects.get(company=patient, meaning="qualified")
    hot = LeadStatus.objects.create(company=patient, name="Hot", meaning="qualified")
    new, qualified = make_lead(patient), make_lead(patient, status=hot)
    client = client_as(sales)
    both = {"status": status.pk, "lead": [new.pk, qualified.pk], "confirmed": "1"}

    client.post("/leads/status/", both)

    assert not CrmEvent.objects.filter(lead=qualified, action__isnull=False).exists()
    assert buttons(client.get(f"/leads/{new.pk}/")) == ["Undo all 2"]


def test_undo_puts_it_back_and_linkedin_hears_nothing(
    client_as, sales, patient, reported
) -> None:
    lead, client = make_lead(patient), client_as(sales)

    response = client.post(
        undo_url(qualify(client, lead)), {"next": f"/leads/{lead.pk}/"}, follow=True
    )

    lead.refresh_from_db()
    assert lead.status.name == "New"
    assert texts(response) == ["Undone: Ada is New again."]
    assert response.redirect_chain == [(f"/leads/{lead.pk}/", 302)]
    assert [(event.state, event.reason) for event in ConversionEvent.objects.all()] == [
        (State.CANCELLED, Reason.TAKEN_BACK)
    ]
    text = response.content.decode()
    assert "Undone: Status: Qualified → New" in text
    assert "Lead qualified (taken back)" in text


def test_undo_twice_says_so(client_as, sales, patient) -> None:
    lead, client = make_lead(patient), client_as(sales)
    url = undo_url(qualify(client, lead))
    client.post(url)

    response = client.post(url, follow=True)

    assert (
        texts(response)[-1] == "There is nothing to undo: this has been undone already."
    )


def test_undo_of_what_someone_else_changed_since_says_so(
    client_as, sales, patient
) -> None:
    lead, client = make_lead(patient), client_as(sales)
    url = undo_url(qualify(client, lead))
    Lead.objects.update(
        status=LeadStatus.objects.get(company=patient, name="Contacted")
    )

    response = client.post(url, follow=True)

    assert "Not undone: Ada has been changed since." in texts(response)[0]


def test_a_new_lead_can_be_removed_again(client_as, sales, patient) -> None:
    client = client_as(sales)
    status = LeadStatus.objects.get(company=patient, name="New")
    added = client.post(
        "/leads/new/",
        {"first_name": "Bob", "type": "inbound", "status": status.pk},
        follow=True,
    )
    assert texts(added) == ["Bob was added."]

    response = client.post(undo_url(added), follow=True)

    assert texts(response) == ["Undone: Bob has been removed again."]
    assert not Lead.objects.exists()


def test_a_move_on_the_board_can_be_undone(client_as, sales, patient, reported) -> None:
    deal, client = make_deal(make_lead(patient)), client_as(sales)
    won = Stage.objects.get(company=patient, meaning="won")

    moved = client.post(f"/deals/{deal.pk}/move/", {"stage": won.pk}, follow=True)
    client.post(undo_url(moved))

    assert Deal.objects.get().stage.name == "Discovery"
    assert ConversionEvent.objects.get().reason == Reason.TAKEN_BACK


def test_an_edit_without_a_new_status_offers_no_undo(client_as, sales, patient) -> None:
    lead = make_lead(patient)
    form = {
        "first_name": "Eve",
        "type": "inbound",
        "status": lead.status_id,
        "email": lead.email,
    }

    response = client_as(sales).post(f"/leads/{lead.pk}/edit/", form, follow=True)

    assert "/undo/" not in response.content.decode()


def test_each_request_has_an_action_of_its_own_and_reading_has_none(
    client_as, sales, patient
) -> None:
    client = client_as(sales)
    leads = [make_lead(patient, email=f"{number}@example.com") for number in range(2)]
    for lead in leads:
        qualify(client, lead)

    actions = set(Change.objects.values_list("action", flat=True))
    assert len(actions) == 2
    assert None not in actions


# --- the API ---------------------------------------------------------------------------------------------------------


def test_the_api_asks_for_the_grace_period_or_has_none(
    client_as, sales, patient, reported
) -> None:
    client, lead = client_as(sales), make_lead(patient)
    qualified = LeadStatus.objects.get(company=patient, meaning="qualified").pk
    new = LeadStatus.objects.get(company=patient, meaning="new").pk

    for query, status in (
        ("", qualified),
        ("", new),
        ("?grace=true", qualified),
        ("?grace=perhaps", new),
    ):
        answer = client.patch(
            f"/api/v1/leads/{lead.pk}/{query}",
            {"status": status},
            content_type="application/json",
        )
    releases = (
        CrmEvent.objects.filter(kind="lead_qualified")
        .order_by("pk")
        .values_list("release_at", flat=True)
    )

    assert [release is not None for release in releases] == [False, True]
    assert (answer.status_code, answer.json()) == (
        400,
        {"grace": ["Enter true or false."]},
    )


# --- the choice ------------------------------------------------------------------------------------------------------


def test_an_admin_chooses_the_time_to_undo(client_as, admin, patient) -> None:
    response = client_as(admin).post(
        "/integrations/linkedin/grace/", {"grace_seconds": "300"}, follow=True
    )

    patient.refresh_from_db()
    assert patient.grace_seconds == 300
    assert texts(response) == ["Time to undo saved. It applies to changes from now on."]


@pytest.mark.parametrize("bad", ["", "-1", "601", "x"])
def test_no_other_time_is_taken(client_as, admin, patient, bad) -> None:
    response = client_as(admin).post(
        "/integrations/linkedin/grace/", {"grace_seconds": bad}, follow=True
    )

    patient.refresh_from_db()
    assert patient.grace_seconds == 30
    assert texts(response) == ["Choose one of the listed times."]


def test_what_linkedin_may_get_of_a_status_that_was_set_back_by_hand_is_told_too(
    client_as, sales, patient, reported
) -> None:
    client, lead = client_as(sales), make_lead(patient)
    qualify(client, lead)
    # A request that began while the change waited for the lane's row.
    began = Now() + timedelta(minutes=1)
    packed = pack_ids([ConversionEvent.objects.get().pk])
    Connection.objects.update(
        lease_id=uuid.uuid4(),
        leased_until=began,
        request_started_at=began,
        request_events=packed,
    )

    response = client.post(
        f"/leads/{lead.pk}/status/", {"status": lead.status_id}, follow=True
    )

    assert texts(response) == [
        "Ada is now New. “Lead qualified” may be in a request to LinkedIn that had already begun. "
        "Recent Events shows the result."
    ]
    assert ConversionEvent.objects.get().state == State.PENDING


def test_the_next_page_offers_undo_again_until_the_change_is_sent(
    client_as, sales, patient, reported
) -> None:
    client = client_as(sales)
    url = undo_url(qualify(client, make_lead(patient)))

    page = client.get("/deals/")
    shown = page.content.decode()
    assert re.search(
        rf"Lead qualified: Ada\. Sends to LinkedIn in {SECONDS}\.", shown
    ), texts(page)
    assert shown.count(f'action="{url}"') == 1

    part = client.get("/deals/", headers={"HX-Request": "true"})
    assert url not in part.content.decode()

    client.post(url)
    client.get("/deals/")
    assert url not in client.get("/deals/").content.decode()


def test_the_next_page_offers_no_undo_of_what_has_been_sent(
    client_as, sales, patient, reported
) -> None:
    client = client_as(sales)
    url = undo_url(qualify(client, make_lead(patient)))
    ConversionEvent.objects.update(next_attempt_at=Now() - timedelta(seconds=1))

    assert url not in client.get("/deals/").content.decode()


def test_another_company_of_the_same_person_offers_no_undo(
    client_as, sales, patient, reported, other_company
) -> None:
    client = client_as(sales)
    url = undo_url(qualify(client, make_lead(patient)))
    Membership.objects.create(company=other_company, user=sales.user, role=Role.SALES)

    client.post("/switch-company/", {"company": other_company.pk})

    page = client.get("/deals/")
    assert str(other_company) in page.content.decode()
    assert url not in page.content.decode()
