"""S51: a person's own account is not opened by a company provider's word alone, whatever they sign in with."""

import time

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.test import Client

from crm.accounts.urls import urlpatterns
from crm.models import ApiKey, User
from tests.crm.accounts.conftest import (
    confirm_password,
    is_in,
    link,
    set_up_app,
    sign_in,
)
from tests.crm.accounts.device import Device
from tests.crm.accounts.test_company_sign_in import come_in, provider, server
from tests.crm.accounts.test_passkeys import add

__all__ = ["provider", "server"]

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S51")]

# The ways to confirm, and the redirect to the page that sends a link to set a password.
OPEN = ("account/confirm/", "account/password/set/")
OWN = sorted(
    {
        f"/{str(each.pattern).replace('<int:pk>', '1')}"
        for each in urlpatterns
        if str(each.pattern).startswith("account/")
        and not str(each.pattern).startswith(OPEN)
    }
)
ASKED = ("/account/confirm/", "/password/reset/")


def with_password(user):
    """Like all users in the tests."""


def with_nothing(user):
    user.set_unusable_password()
    user.save()


def with_app_only(user):
    with_nothing(user)
    set_up_app(user)


def with_passkey_only(user):
    client = Client(SERVER_NAME="localhost")
    sign_in(client, user.email)
    confirm_password(client)
    add(client, Device())
    with_nothing(user)


def by_provider(client, provider, server, user):
    """Sign in through the provider; if a second factor is missing, go on as if it had been given an hour ago."""
    come_in(client, provider, server)
    if not is_in(client):
        client.force_login(user, backend="crm.accounts.adapter.EmailBackend")
        SocialAccount.objects.update(date_joined="2026-01-01T00:00Z")
        session = client.session
        records = [
            {
                "method": "socialaccount",
                "at": time.time() - 3600,
                "provider": provider.code,
                "uid": "1001",
            }
        ]
        session["account_authentication_methods"] = records
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()


def own_things(user):
    return (
        list(User.objects.filter(pk=user.pk).values("password", "email", "first_name")),
        list(EmailAddress.objects.values_list("email", "verified")),
        list(Authenticator.objects.order_by("pk").values("type", "data")),
    )


@pytest.mark.parametrize(
    "has", [with_password, with_nothing, with_app_only, with_passkey_only]
)
def test_nothing_of_one_s_own_opens_to_a_session_of_a_provider(
    provider, server, sales, has
):
    has(sales.user)
    client = Client(SERVER_NAME="localhost")
    by_provider(client, provider, server, sales.user)
    assert is_in(client)
    before = own_things(sales.user)
    form = {
        "first_name": "Mallory",
        "action_add": "1",
        "email": "mallory@example.com",
        "name": "x",
        "code": "123456",
    }

    answers = {
        (path, ask): getattr(client, ask)(path, form).get("Location")
        for path in OWN
        for ask in ("get", "post")
    }

    assert len(OWN) >= 11
    assert not {
        where: to for where, to in answers.items() if not str(to).startswith(ASKED)
    }
    assert own_things(sales.user) == before


def test_who_has_nothing_to_confirm_with_sets_a_password_by_mail(
    provider, server, sales
):
    with_nothing(sales.user)
    client = Client()
    come_in(client, provider, server)

    page = client.get("/account/passkeys/new/", follow=True)
    client.post(page.redirect_chain[-1][0], {"email": sales.user.email})

    assert "your account has none yet" in page.content.decode()
    assert mail.outbox[-1].to == [sales.user.email]
    assert Client().get(link(), follow=True).status_code == 200


def test_an_open_session_without_a_way_to_confirm_adds_none_either(client_as, sales):
    """As after the only passkey was removed: anyone who finds the browser must not add their own."""
    with_nothing(sales.user)

    page = client_as(sales).get("/account/passkeys/new/")

    assert page.url == "/password/reset/"


def test_a_link_opened_before_the_provider_s_word_is_no_password(
    provider, server, admin, company
):
    """Someone who can read the mails opens the link in another browser, then signs in there with the provider."""
    own, other = Client(), Client()
    sign_in(own, "admin@example.com")
    confirm_password(own)
    own.post("/account/address/", {"action_add": "1", "email": "new@example.com"})
    server.person = {"sub": "7", "email": "new@example.com", "email_verified": True}

    other.post(link())
    records = dict(other.session).get("account_authentication_methods", [])
    come_in(other, provider, server)

    assert records == []
    assert is_in(other)
    assert other.get("/account/").url.startswith("/account/confirm/")
    assert other.post(
        "/company/api-keys/new/", {"name": "k", "role": "admin"}
    ).url.startswith("/account/confirm/")
    assert not ApiKey.objects.exists()
