"""S28: the forms that save and remove an access token are shown to a session that proved itself lately."""

import time
from typing import Any

import pytest
from django.urls import reverse

from capi import services
from capi.models import Connection
from capi.models.token import fingerprint
from crm.services import people
from tests.conftest import PASSWORD, TOKEN, give_password
from tests.crm.accounts.conftest import link

pytestmark = pytest.mark.django_db

SAVE, REMOVE = "/integrations/linkedin/token/", "/integrations/linkedin/token/remove/"


def minutes_pass(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    later = time.time() + 60 * minutes
    monkeypatch.setattr("crm.accounts.fresh_password.time.time", lambda: later)


def is_saved() -> bool:
    return Connection.objects.filter(token_fingerprint=fingerprint(TOKEN)).exists()


@pytest.mark.parametrize("address", [SAVE, REMOVE])
def test_the_password_is_asked_for_before_the_form_is_shown(client_as: Any, admin: Any, address: str) -> None:
    client = client_as(admin)

    asked = client.get(address)
    back = client.post(asked.url, {"password": PASSWORD, "next": address})

    assert asked.url == f"/account/confirm/?next={address}"
    assert back.url == address
    assert client.get(address).status_code == 200


def test_a_token_posted_without_one_is_not_saved_and_not_kept(client_as: Any, admin: Any) -> None:
    client = client_as(admin)

    answer = client.post(SAVE, {"token": TOKEN, "ad_account_id": "512345678"})

    assert answer.url == f"/account/confirm/?next={SAVE}"
    assert not Connection.objects.exists()
    assert TOKEN not in str(dict(client.session))
    assert TOKEN not in client.get(answer.url).content.decode()


def test_nothing_is_removed_without_one(client_as: Any, admin: Any, company: Any) -> None:
    services.save_token(company=company, token=TOKEN)

    answer = client_as(admin).post(REMOVE)

    assert answer.url == f"/account/confirm/?next={REMOVE}"
    assert is_saved()


def test_a_wrong_password_opens_nothing(client_as: Any, admin: Any) -> None:
    client = client_as(admin)

    client.post("/account/confirm/", {"password": "wrong", "next": SAVE})
    client.post(SAVE, {"token": TOKEN})

    assert not Connection.objects.exists()


def test_one_opens_forms_for_five_minutes(client_as: Any, admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = give_password(client_as(admin))

    minutes_pass(monkeypatch, 5.1)

    assert client.get(SAVE).status_code == 302
    client.post(SAVE, {"token": TOKEN})
    assert not Connection.objects.exists()


@pytest.mark.parametrize(("minutes", "saved"), [(29, True), (31, False)])
def test_an_open_form_waits_half_an_hour_for_its_token(
    client_as: Any, admin: Any, monkeypatch: pytest.MonkeyPatch, minutes: int, saved: bool
) -> None:
    client = give_password(client_as(admin))
    client.get(SAVE)

    minutes_pass(monkeypatch, minutes)
    client.post(SAVE, {"token": TOKEN})

    assert is_saved() == saved


def test_what_is_no_secret_is_still_there_after_the_password(client_as: Any, admin: Any) -> None:
    client = client_as(admin)
    client.post(SAVE, {"token": TOKEN, "ad_account_id": "51 23", "expires_on": "2190-01-01"})

    give_password(client)
    page = client.get(SAVE).content.decode()

    assert 'value="51 23"' in page
    assert 'value="2190-01-01"' in page
    assert 'value="51 23"' not in client.get(SAVE).content.decode()  # once


def test_signing_in_is_giving_it(client: Any, admin: Any) -> None:
    client.post("/login/", {"username": admin.user.email, "password": PASSWORD})

    client.post(SAVE, {"token": TOKEN})

    assert is_saved()


def test_signing_up_and_confirming_the_address_is_giving_it(client: Any, db: None, settings: Any) -> None:
    settings.SIGNUP, settings.SITE_URL = True, "https://crm.example.com"
    company = {"company": "Fabrikam BV", "currency": "EUR", "time_zone": "UTC"}
    names = {"first_name": "Ada", "last_name": "Byron"}
    client.post("/signup/", {**company, **names, "email": "ada@example.com", "password1": PASSWORD})

    client.post(link())

    assert client.get(SAVE).status_code == 200


def test_accepting_an_invitation_with_a_new_password_is_giving_it(client: Any, admin: Any, company: Any) -> None:
    asked = {"company": company, "email": "grace@example.com", "role": "admin", "invited_by": admin.user}
    _, token = people.invite(**asked)

    names = {"first_name": "Grace", "last_name": "Hopper"}
    client.post(reverse("invitation", args=[token]), {**names, "password": PASSWORD})

    assert client.get(SAVE).status_code == 200
