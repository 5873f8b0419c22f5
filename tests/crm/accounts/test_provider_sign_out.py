"""S51: who signs out is not signed in again without a question, and signs out at the provider if it ends sessions."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from crm.models import SignInProvider
from tests.conftest import code_now
from tests.crm.accounts.conftest import set_up_app, sign_in
from tests.crm.accounts.test_company_sign_in import (
    begin,
    come_in,
    is_in,
    provider,
    server,
)

__all__ = ["provider", "server"]

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S51")]


@pytest.fixture
def ending(server):
    """The provider has an address that ends its sessions."""
    server.discovery["end_session_endpoint"] = f"{server.issuer}/end?x=1"


def prompt(url):
    return parse_qs(urlsplit(url).query).get("prompt")


@pytest.mark.usefixtures("ending")
def test_signing_out_leads_to_the_provider_with_the_token_of_this_sign_in(
    provider, server, sales
):
    client = Client()
    come_in(client, provider, server)

    page = client.post("/logout/")

    address, asked = (
        page.context["url"].partition("?")[0],
        parse_qs(urlsplit(page.context["url"]).query),
    )
    assert not is_in(client)
    assert "You are signed out" in page.content.decode()
    assert address == f"{server.issuer}/end"
    assert (asked["x"], asked["client_id"]) == (["1"], ["leadmachine"])
    assert asked["id_token_hint"][0].count(".") == 2
    assert "post_logout_redirect_uri" not in asked


@pytest.mark.usefixtures("ending")
def test_it_does_so_after_a_second_factor_too(provider, server, sales):
    secret = set_up_app(sales.user)
    client = Client()
    come_in(client, provider, server)
    client.post("/login/code/", {"code": code_now(secret)})

    assert "id_token_hint" in client.post("/logout/").context["url"]


@pytest.mark.usefixtures("ending")
def test_someone_who_goes_on_here_stays_here(provider, server, sales):
    client = Client()
    come_in(client, provider, server)

    assert client.post("/logout/", {"next": "/login/"}).url == "/login/"
    assert prompt(begin(client, provider)) == ["login"]


@pytest.mark.usefixtures("ending")
def test_a_session_by_password_ends_here_alone(provider, server, sales):
    client = Client()
    sign_in(client)

    assert client.post("/logout/").url == "/login/"
    assert prompt(begin(client, provider)) is None


def test_the_provider_has_to_ask_at_the_next_try_and_no_longer_after_it(
    provider, server, sales
):
    client = Client()
    first = begin(client, provider)
    come_in(client, provider, server)

    page = client.post("/logout/")
    again = begin(client, provider)
    come_in(client, provider, server)

    assert page.url == "/login/"
    assert (prompt(first), prompt(again), prompt(begin(client, provider))) == (
        None,
        ["login"],
        None,
    )


def test_it_has_to_ask_after_the_wrong_account(provider, server, sales):
    server.person = {"sub": "9", "email": "private@example.com", "email_verified": True}
    client = Client()

    come_in(client, provider, server)

    assert prompt(begin(client, provider)) == ["login"]


def test_google_is_asked_for_what_it_knows(provider, server, sales, monkeypatch):
    monkeypatch.setattr("crm.services.openid.GOOGLE", server.issuer)
    client = Client()
    come_in(client, provider, server)

    client.post("/logout/")

    assert prompt(begin(client, provider)) == ["select_account"]


@pytest.mark.parametrize(
    "address", [7, "http://example.com/end", "javascript:alert(1)", ""]
)
def test_an_odd_address_to_sign_out_at_is_not_used(provider, server, sales, address):
    server.discovery["end_session_endpoint"] = address
    client = Client()
    come_in(client, provider, server)

    assert client.post("/logout/").url == "/login/"


@pytest.mark.usefixtures("ending")
def test_a_provider_that_was_removed_is_not_visited(provider, server, sales):
    client = Client()
    come_in(client, provider, server)
    SignInProvider.objects.all().delete()

    assert client.post("/logout/").url == "/login/"
