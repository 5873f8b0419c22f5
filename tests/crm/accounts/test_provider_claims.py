"""S51: what a provider says in its ID token or in userinfo, and what the page and the log say if it says too little."""

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from tests.crm.accounts.test_company_sign_in import (
    arrive,
    begin,
    come_in,
    is_in,
    provider,
    server,
)

__all__ = ["provider", "server"]

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S51")]

ADDRESS = {"email": "sales@example.com", "email_verified": True}


@pytest.fixture
def log(caplog):
    """Returns the reasons of failed sign-ins so far."""
    begin = "A sign-in with provider "
    return lambda: [
        text.partition(": ")[2] for text in caplog.messages if text.startswith(begin)
    ]


@pytest.mark.parametrize(
    "in_token",
    [
        {},
        {"email": "sales@example.com"},
        {"email_verified": True},
        {"email": "old@example.com"},
    ],
)
def test_what_the_id_token_lacks_is_read_from_userinfo(
    provider, server, sales, in_token
):
    server.person, server.userinfo = (
        {"sub": "1001", **in_token},
        {"sub": "1001", **ADDRESS},
    )
    client = Client()

    come_in(client, provider, server)

    assert is_in(client)


def test_userinfo_is_not_asked_for_what_is_known(provider, server, sales):
    server.userinfo = {"sub": "1001", **ADDRESS}
    come_in(Client(), provider, server)
    server.person = {"sub": "1001"}
    client = Client()

    come_in(client, provider, server)

    assert is_in(client)
    assert "/userinfo" not in server.requests


@pytest.mark.parametrize(
    ("userinfo", "reason"),
    [
        ({"sub": "1002", **ADDRESS}, "The provider's userinfo is about someone else."),
        (ADDRESS, "The provider's userinfo is about someone else."),
        ([], "Userinfo: The answer (200) is not a JSON object."),
    ],
)
def test_userinfo_about_someone_else_lets_no_one_in(
    provider, server, sales, log, userinfo, reason
):
    server.person, server.userinfo = {"sub": "1001"}, userinfo
    client = Client()

    page = come_in(client, provider, server)

    assert "Signing in with Okta did not work." in page.content.decode()
    assert log() == [reason]
    assert not is_in(client)
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    ("in_token", "userinfo", "said", "reason"),
    [
        ({}, None, "Okta sends no e-mail address for you.", "The claim email is missing or no address."),
        ({}, {"sub": "1001"}, "Okta sends no e-mail address for you.", "The claim email is missing or no address."),
        ({"email": "sales@example.com"}, {"sub": "1001", "email": "sales@example.com"},
         "Okta doesn&#x27;t say whether your e-mail address was checked.", "The claim email_verified is missing."),
        ({"email": "sales@example.com", "email_verified": False}, {"sub": "1001", **ADDRESS},
         "Okta says that your e-mail address is not confirmed.", "The claim email_verified is not true."),
        # The address of one source, and the word of another
        ({"email_verified": True}, {"sub": "1001", "email": "sales@example.com"},
         "Okta doesn&#x27;t say whether your e-mail address was checked.", "The claim email_verified is missing."),
    ],
)  # fmt: skip
def test_a_missing_claim_and_a_false_one_are_told_apart(
    provider, server, sales, log, in_token, userinfo, said, reason
):
    server.person, server.userinfo = {"sub": "1001", **in_token}, userinfo
    client = Client()

    page = come_in(client, provider, server)

    assert said in page.content.decode()
    assert log() == [reason]
    assert not is_in(client)


# What else the log says


def test_a_wrong_client_secret_is_in_the_log(provider, server, sales, log):
    server.client_secret = "another"

    come_in(Client(), provider, server)

    assert log() == ["The provider refused the code: 400, invalid_grant."]


def test_someone_who_cancels_is_not_told_that_it_did_not_work(provider, server, caplog):
    client = Client()
    caplog.set_level("INFO", "crm")
    address = server.authorize(begin(client, provider)).replace(
        "code=", "error=access_denied&x="
    )

    page = arrive(client, address).content.decode()

    assert "You were not signed in: this was cancelled" in page
    assert "did not work" not in page
    assert (
        f"A sign-in with provider {provider.code} was cancelled or not allowed there."
        in caplog.messages
    )


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (
            "error=temporarily_unavailable&",
            "The provider answered temporarily_unavailable.",
        ),
        (
            "error=<script>&error_description=sales@example.com&",
            "The provider answered with an unknown error.",
        ),
        ("", "The answer has no code."),
    ],
)
def test_an_error_of_the_provider_is_in_the_log(provider, server, log, query, reason):
    client = Client()
    address = server.authorize(begin(client, provider)).replace("code=", f"{query}x=")

    page = arrive(client, address)

    assert "Signing in with Okta did not work." in page.content.decode()
    assert log() == [reason]


def test_an_answer_to_no_question_is_in_the_log(provider, server, log):
    address = server.authorize(begin(Client(), provider))

    arrive(Client(), address)

    assert [reason.partition(":")[0] for reason in log()] == [
        "The answer is for no sign-in of this browser"
    ]


def test_who_is_refused_is_in_the_log_without_an_address(provider, server, sales, log):
    come_in(Client(), provider, server)
    server.person = {"sub": "2", **ADDRESS}
    come_in(Client(), provider, server)
    server.person = {
        "sub": "3",
        "email": "stranger@example.com",
        "email_verified": True,
    }
    come_in(Client(), provider, server)
    server.person, sales.is_active = {"sub": "1001", **ADDRESS}, False
    sales.save()
    come_in(Client(), provider, server)

    assert log() == [
        f"User {sales.user.pk} has another id at the provider.",
        "No member and no pending invitation has the address.",
        f"User {sales.user.pk} is no longer a member.",
    ]
