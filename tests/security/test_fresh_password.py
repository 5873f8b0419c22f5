"""S28: a new access token needs a password that was given lately."""

import time
from typing import Any

import pytest

from capi.models import Connection
from tests.conftest import PASSWORD, TOKEN, give_password

pytestmark = pytest.mark.django_db

PAGE, SAVE = "/integrations/linkedin/", "/integrations/linkedin/token/"


def test_without_one_nothing_is_saved_and_what_was_pasted_is_not_kept(client_as: Any, admin: Any) -> None:
    client = client_as(admin)

    answer = client.post(SAVE, {"token": TOKEN})

    assert answer.url == "/account/confirm/?next=/integrations/linkedin/"
    assert not Connection.objects.exists()
    assert TOKEN not in str(dict(client.session))
    assert TOKEN not in client.get(answer.url).content.decode()


def test_giving_it_leads_back_to_the_page_where_the_token_is_pasted_again(client_as: Any, admin: Any) -> None:
    client = client_as(admin)
    asked = client.post(SAVE, {"token": TOKEN}).url

    back = client.post(asked, {"password": PASSWORD, "next": PAGE})
    client.post(SAVE, {"token": TOKEN})

    assert back.url == PAGE
    assert Connection.objects.get().token_last_four == TOKEN[-4:]


def test_a_wrong_password_opens_nothing(client_as: Any, admin: Any) -> None:
    client = client_as(admin)

    client.post("/account/confirm/", {"password": "wrong", "next": PAGE})
    client.post(SAVE, {"token": TOKEN})

    assert not Connection.objects.exists()


def test_one_is_good_for_five_minutes(client_as: Any, admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, now = give_password(client_as(admin)), time.time()

    monkeypatch.setattr("crm.accounts.decorators.time.time", lambda: now + 301)
    client.post(SAVE, {"token": TOKEN})

    assert not Connection.objects.exists()


def test_signing_in_is_giving_it(client: Any, admin: Any) -> None:
    client.post("/login/", {"username": admin.user.email, "password": PASSWORD})

    client.post(SAVE, {"token": TOKEN})

    assert Connection.objects.get().token_last_four == TOKEN[-4:]
