"""Adding and editing a lead, and what is refused."""

import pytest

from crm.models import CrmEvent, Lead, LeadStatus
from crm.services.picklists import archive_entry
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


def filled_in(company, **fields):
    status = LeadStatus.objects.for_company(company).first()
    return {
        "first_name": "Ada",
        "last_name": "Byron",
        "email": "ada@example.com",
        "type": "inbound",
        "status": status.pk,
        "share_with_ad_platforms": "on",
        **fields,
    }


def test_a_lead_is_added_with_its_crm_event_under_the_persons_name(
    client_as, sales, company
):
    response = client_as(sales).post("/leads/new/", filled_in(company))

    lead = Lead.objects.get()
    event = CrmEvent.objects.get()
    assert response.url == f"/leads/{lead.pk}/"
    assert (lead.company, lead.name, lead.email) == (
        company,
        "Ada Byron",
        "ada@example.com",
    )
    assert (event.kind, event.lead, event.actor) == ("lead_created", lead, sales.user)


def test_an_address_is_saved_without_what_came_along_unseen_when_it_was_copied(
    client_as, sales, company
):
    client_as(sales).post(
        "/leads/new/", filled_in(company, email="\u202aada@example.com\u202c\u200b")
    )

    assert Lead.objects.get().email == "ada@example.com"


def test_the_form_begins_with_the_first_new_status_and_oneself_as_owner(
    client_as, sales, company
):
    form = client_as(sales).get("/leads/new/").context["form"]

    assert (
        form["status"].value()
        == LeadStatus.objects.for_company(company).get(name="New").pk
    )
    assert form["owner"].value() == sales.user.pk


def test_editing_a_status_to_qualified_fires(client_as, sales, company):
    lead = make_lead(company)
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")

    client_as(sales).post(
        f"/leads/{lead.pk}/edit/", filled_in(company, status=qualified.pk)
    )

    assert list(CrmEvent.objects.values_list("kind", flat=True)) == [
        "lead_qualified",
        "lead_created",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"first_name": "", "last_name": " "}, "Enter a first name or a last name."),
        (
            {"email": "ada at example"},
            "Enter an e-mail address such as ada@example.com.",
        ),
        (
            {"email": "a" * 288 + "@example.com"},
            "Enter at most 254 characters. This address has 300.",
        ),
        ({"email": "ada\x00@example.com"}, "Null characters are not allowed."),
        ({"first_name": "A\x00da"}, "Null characters are not allowed."),
        ({"notes": "A\x00da"}, "Null characters are not allowed."),
        ({"status": "nonsense"}, "Choose one of your company&#x27;s statuses."),
        ({"status": "\x00"}, "Null characters are not allowed."),
        ({"status": ""}, "This field is required."),
    ],
)
def test_bad_input_gets_a_clear_message_and_writes_nothing(
    client_as, sales, company, fields, message
):
    response = client_as(sales).post("/leads/new/", filled_in(company, **fields))

    text = response.content.decode()
    assert "Nothing was saved. Please check:" in text
    assert message in text
    assert not Lead.objects.exists()
    assert not CrmEvent.objects.exists()


def test_status_and_owner_of_another_company_are_refused(
    client_as, sales, company, other_company
):
    foreign = LeadStatus.objects.for_company(other_company).first()

    response = client_as(sales).post(
        "/leads/new/", filled_in(company, status=foreign.pk)
    )

    assert "Choose one of your company&#x27;s statuses." in response.content.decode()
    assert not Lead.objects.exists()


def test_errors_are_tied_to_their_fields(client_as, sales, company):
    response = client_as(sales).post(
        "/leads/new/", filled_in(company, email="nonsense")
    )

    text = response.content.decode()
    assert '<a href="#id_email">E-mail</a>' in text
    assert 'aria-invalid="true"' in text
    assert 'id="id_email_error"' in text
    assert 'aria-describedby="id_email_helptext id_email_error"' in text


def test_deleting_asks_first_and_then_takes_the_deals_along(client_as, admin, company):
    lead = make_lead(company)
    client = client_as(admin)

    asked = client.get(f"/leads/{lead.pk}/delete/")
    assert "Delete <bdi>Ada</bdi>?" in asked.content.decode()
    assert Lead.objects.exists()

    response = client.post(f"/leads/{lead.pk}/delete/")
    assert response.url == "/leads/"
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    "typed",
    [
        {"email": "ADA@example.com"},
        {"email": "", "phone": "0031 20-555 01 42"},
        {"email": "new@example.com", "phone": "(020) 555 0142"},
    ],
)
def test_a_person_who_may_be_there_already_is_shown_and_added_only_if_one_says_so(
    client_as, sales, company, typed
):
    known = make_lead(company, last_name="King", phone="+31 20 555 0142")
    client = client_as(sales)

    asked = client.post("/leads/new/", filled_in(company, **typed))

    assert "you may have this person already" in asked.content.decode()
    assert (
        f'<a href="{known.get_absolute_url()}"><bdi>Ada King</bdi></a>'
        in asked.content.decode()
    )
    assert Lead.objects.count() == 1

    client.post("/leads/new/", filled_in(company, **typed, add_anyway="1"))
    assert Lead.objects.count() == 2


@pytest.mark.parametrize(
    ("answer", "saved"),
    [
        ({"use_address": "ada@gmail.com"}, "ada@gmail.com"),
        ({"add_anyway": "1"}, "ada@gmial.com"),
    ],
)
def test_a_likely_typo_is_asked_about_and_never_changed_unasked(
    client_as, sales, company, answer, saved
):
    client, typed = client_as(sales), filled_in(company, email="ada@gmial.com")

    asked = client.post("/leads/new/", typed).content.decode()

    assert "Did you mean ada@gmail.com?" in asked
    question = asked.split("Did you mean")[1].split("</div>")[0]
    assert 'form="add-lead" name="use_address" value="ada@gmail.com"' in question
    assert asked.count('name="use_address"') == 1
    assert not Lead.objects.exists()
    client.post("/leads/new/", typed | answer)
    assert Lead.objects.get().email == saved


def test_the_page_of_a_lead_offers_the_address_that_was_probably_meant(
    client_as, sales, ops, company
):
    lead = make_lead(company, email="ada@gmial.com")
    client = client_as(sales)

    page = client.get(lead.get_absolute_url()).content.decode()
    read_only = client_as(ops).get(lead.get_absolute_url()).content.decode()

    assert "Did you mean ada@gmail.com?" in page
    assert "Use it" in page
    assert "Use it" not in read_only
    client.post(f"{lead.get_absolute_url()}fields/email/", {"email": "ada@gmail.com"})
    assert "Did you mean" not in client.get(lead.get_absolute_url()).content.decode()


def test_nobody_else_is_taken_for_the_same_person(
    client_as, sales, company, other_company
):
    make_lead(company, email="", phone="")
    make_lead(company, email="someone@example.com", phone="+31 20 555 0199")
    make_lead(other_company, email="ada@example.com", phone="+31 20 555 0142")

    client_as(sales).post("/leads/new/", filled_in(company, phone="+31 20 555 0142"))

    assert Lead.objects.for_company(company).count() == 3


def test_a_form_that_is_submitted_twice_is_saved_once_although_its_status_was_archived(
    client_as, sales, company
):
    warm = LeadStatus.objects.create(
        company=company, name="Warm", meaning="working", position=8
    )
    browser, data = (
        client_as(sales),
        filled_in(company, status=warm.pk, form_key="0" * 32),
    )
    first = browser.post("/leads/new/", data)
    archive_entry(entry=warm)

    again = browser.post("/leads/new/", data)

    assert again.status_code == 302
    assert again.url == first.url == Lead.objects.get().get_absolute_url()
