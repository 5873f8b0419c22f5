"""What an admin sees and changes about the company: name, people, API keys."""

import re

import pytest

from crm.models import ApiKey
from tests.conftest import give_password

pytestmark = pytest.mark.django_db


def test_name_and_currency_can_be_changed(client_as, admin, company):
    response = client_as(admin).post(
        "/company/",
        {"name": "Southwind BV", "currency": "USD", "time_zone": "Europe/Amsterdam"},
    )

    company.refresh_from_db()
    assert response.url == "/company/"
    assert (company.name, company.currency, company.slug) == (
        "Southwind BV",
        "USD",
        "northwind",
    )
    assert company.time_zone == "Europe/Amsterdam"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "This field is required."),
        ({"currency": "XXX"}, "Unknown currency."),
        ({"time_zone": "Mars/Base"}, "Unknown time zone."),
    ],
)
def test_a_company_without_name_or_with_an_unknown_currency_is_refused(
    client_as, admin, company, fields, message
):
    response = client_as(admin).post(
        "/company/",
        {"name": "Southwind BV", "currency": "USD", "time_zone": "UTC", **fields},
    )

    company.refresh_from_db()
    assert message in response.content.decode()
    assert (company.name, company.currency) == ("Northwind BV", "EUR")


def test_a_page_that_was_opened_earlier_writes_only_what_was_changed_in_it(
    client_as, admin, company
):
    client = client_as(admin)
    page = client.get("/company/").content.decode()
    hidden = dict(
        re.findall(r'<input type="hidden" name="(initial-\w+)" value="([^"]*)"', page)
    )
    opened = {"name": "Northwind BV", "currency": "EUR", "time_zone": "UTC", **hidden}
    client.post(
        "/company/", {**opened, "currency": "USD", "requires_lost_reason": "on"}
    )

    client.post("/company/", {**opened, "name": "Southwind BV"})
    refused = client.post("/company/", {**opened, "currency": "GBP"})

    company.refresh_from_db()
    assert (company.name, company.currency, company.requires_lost_reason) == (
        "Southwind BV",
        "USD",
        True,
    )
    assert "this was changed after you opened it" in refused.content.decode()


def test_people_are_listed(client_as, admin, sales, company):
    assert "sales@example.com" in client_as(admin).get("/company/").content.decode()


def test_no_select_begins_with_dashes(client_as, admin):
    client = client_as(admin)
    pages = (
        "/company/",
        "/company/people/",
        "/company/lists/statuses/new/",
        "/company/lists/stages/new/",
    )

    texts = {path: client.get(path, follow=True).content.decode() for path in pages}

    assert [path for path, text in texts.items() if "-----" in text] == []
    assert "Choose a role" in texts["/company/"]
    assert "Choose a meaning" in texts["/company/lists/statuses/new/"]


def test_a_new_key_is_shown_once_and_never_again(client_as, admin, company):
    client = give_password(client_as(admin))

    made = client.post(
        "/company/api-keys/new/", {"name": "Website form", "role": "sales"}, follow=True
    )

    key = ApiKey.objects.get()
    text = made.context["text"]
    assert (key.company, key.role, key.created_by) == (company, "sales", admin.user)
    assert text in made.content.decode()
    assert "no-store" in made.headers["Cache-Control"]
    assert ApiKey.objects.find(text) == key
    assert text not in client.get("/company/").content.decode()


def test_loading_the_page_of_a_new_key_again_makes_no_other_key_and_shows_none(
    client_as, admin
):
    client = give_password(client_as(admin))
    made = client.post(
        "/company/api-keys/new/", {"name": "Website form", "role": "sales"}, follow=True
    )

    again = client.get(made.redirect_chain[-1][0], follow=True)

    assert ApiKey.objects.count() == 1
    assert again.redirect_chain == [("/company/", 302)]
    assert made.context["text"] not in again.content.decode()
    assert "A key is shown only once." in again.content.decode()


def test_the_text_of_a_new_key_waits_sealed_in_the_session(client_as, admin):
    client = give_password(client_as(admin))

    client.post("/company/api-keys/new/", {"name": "Website form", "role": "sales"})

    assert "lm_" not in str(dict(client.session.items()))


@pytest.mark.parametrize("fields", [{"name": ""}, {"role": "owner"}, {"name": "a\x00"}])
def test_a_key_without_a_name_or_with_an_unknown_role_is_not_made(
    client_as, admin, fields
):
    response = client_as(admin).post(
        "/company/api-keys/new/", {"name": "Website", "role": "sales", **fields}
    )

    assert "Nothing was saved." in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_after_a_question(client_as, admin, company):
    key, text = ApiKey.objects.issue(company=company, role="sales", name="Website form")
    client = client_as(admin)

    assert (
        "Revoke <bdi>Website form</bdi>?"
        in client.get(f"/company/api-keys/{key.pk}/revoke/").content.decode()
    )
    assert ApiKey.objects.find(text) == key

    client.post(f"/company/api-keys/{key.pk}/revoke/")
    assert ApiKey.objects.find(text) is None
