"""S51: an invited person comes in by their company's provider, which takes over no account and moves no one."""

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.db import IntegrityError
from django.test import Client

from crm.models import AuditEntry, Invitation, Membership, SignInProvider, User
from crm.models.roles import Role
from crm.services import people
from crm.services.sign_in_providers import remove_provider
from tests.conftest import join
from tests.crm.accounts.conftest import link, sign_in
from tests.crm.accounts.test_company_sign_in import (
    arrive,
    come_in,
    is_in,
    provider,
    provider_of,
    server,
)
from tests.crm.accounts.test_passwords import NEW, ask, choose
from tests.crm.accounts.test_people_page import accept
from tests.crm.accounts.test_provider_claims import log

__all__ = ["log", "provider", "server"]

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S51")]

GRACE = {"sub": "77", "email": "grace@example.com", "email_verified": True}


@pytest.fixture
def token(company, admin, server):
    """Of the invitation of Grace, who is known to the provider."""
    server.person = GRACE
    return people.invite(
        company=company, email=GRACE["email"], role=Role.SALES, invited_by=admin.user
    )[1]


def come_from_invitation(client, provider, server, token):
    """Open the invitation, press the button there, and come back from the provider."""
    page = client.get(f"/invitations/{token}/").content.decode()
    assert f'name="invitation" value="{token}"' in page
    return come_in(client, provider, server, invitation=token)


def test_the_first_sign_in_accepts_the_invitation(provider, server, token):
    server.person = {**GRACE, "given_name": "Grace", "family_name": "Hopper"}
    client = Client()

    page = come_in(client, provider, server, next="/deals/")

    member = Membership.objects.get(user__email=GRACE["email"])
    assert page.redirect_chain[-1][0] == "/deals/"
    assert "Welcome to Northwind BV." in page.content.decode()
    assert is_in(client)
    assert (str(member.user), member.role, member.user.has_usable_password()) == (
        "Grace Hopper",
        "sales",
        False,
    )
    assert not Invitation.objects.open().exists()
    assert AuditEntry.objects.get(action="member_joined").details["role"] == "sales"


@pytest.mark.parametrize("name", [None, 7, "www.evil.example", "x" * 151])
def test_a_name_that_is_none_is_left_empty(provider, server, token, name):
    server.person = {**GRACE, "given_name": name}

    come_in(Client(), provider, server)

    assert User.objects.get(email=GRACE["email"]).first_name == ""


def test_names_come_from_userinfo_too(provider, server, token):
    server.person, server.userinfo = {"sub": "77"}, {**GRACE, "given_name": "Grace"}

    come_in(Client(), provider, server)

    assert User.objects.get(email=GRACE["email"]).first_name == "Grace"


@pytest.mark.parametrize(
    "why",
    ["another address", "not confirmed", "revoked", "another company's", "run out"],
)
def test_only_a_pending_invitation_of_the_confirmed_address_counts(
    provider, server, token, other_company, why
):
    if why == "another address":
        server.person = {**GRACE, "email": "mallory@example.com"}
    elif why == "not confirmed":
        server.person = {**GRACE, "email_verified": False}
    elif why == "revoked":
        people.revoke_invitation(invitation=Invitation.objects.get())
    elif why == "another company's":
        provider = provider_of(other_company, server)
    else:
        Invitation.objects.update(sent_at="2026-01-01T00:00Z")
    client = Client()

    come_in(client, provider, server)

    assert not is_in(client)
    assert not User.objects.filter(email=server.person["email"]).exists()
    assert not SocialAccount.objects.exists()


def test_a_provider_brings_no_account_of_another_company_in(
    provider, server, token, other_company, log
):
    """Only the person does, from the link that was mailed to them: a provider can claim any address."""
    member = join(other_company, Role.SALES, email=GRACE["email"])
    client = Client()

    page = come_in(client, provider, server)
    joined_without_link = (
        Membership.objects.for_company(provider.company)
        .filter(user=member.user)
        .exists()
    )
    come_from_invitation(client, provider, server, token)

    assert "Open the link in your invitation" in page.content.decode()
    assert log() == [
        "The invited person has an account, and did not come from the invitation."
    ]
    assert not joined_without_link
    assert is_in(client)
    assert (
        Membership.objects.for_company(provider.company).get(user=member.user).role
        == "sales"
    )
    assert "Contoso" not in client.get("/leads/").content.decode()


def test_an_account_that_no_one_has_confirmed_is_not_joined(
    provider, server, token, log
):
    """Someone else may have signed up with the address, and know the password."""
    user = User.objects.create(email=GRACE["email"])
    EmailAddress.objects.create(
        user=user, email=user.email, verified=False, primary=True
    )
    client = Client()

    page = come_from_invitation(client, provider, server, token)

    assert "is not confirmed yet" in page.content.decode()
    assert log() == ["The invited person's account is not confirmed."]
    assert not Membership.objects.filter(user=user).exists()
    assert not EmailAddress.objects.filter(verified=True).exists()


def test_it_is_joined_once_the_person_has_set_a_password_by_mail(
    provider, server, token
):
    user = User.objects.create(email=GRACE["email"])
    EmailAddress.objects.create(
        user=user, email=user.email, verified=False, primary=True
    )
    client = Client()

    ask(email=GRACE["email"])
    choose(Client(), link())
    come_from_invitation(client, provider, server, token)

    assert is_in(client)


def test_someone_without_a_password_gets_one_by_mail_when_the_provider_is_gone(
    provider, server, token, company
):
    come_in(Client(), provider, server)
    remove_provider(company=company)
    client = Client()

    ask(email=GRACE["email"])
    choose(Client(), link())
    sign_in(client, GRACE["email"], NEW)

    assert is_in(client)


def test_an_account_that_is_made_at_the_same_moment_leaves_nothing_half_done(
    provider, server, token, monkeypatch, log
):
    def fail(*_):
        raise IntegrityError

    monkeypatch.setattr(people, "_accept", fail)

    page = come_in(Client(), provider, server)

    assert (
        "Someone has just signed up as grace@example.com. Try again."
        in page.content.decode()
    )
    assert log() == ["The account was made at the same moment."]
    assert not User.objects.filter(email=GRACE["email"]).exists()
    assert Invitation.objects.open().exists()


def test_someone_with_another_address_accepts_no_invitation_that_they_opened(
    provider, server, token
):
    server.person = {**GRACE, "email": "mallory@example.com"}
    client = Client()

    come_from_invitation(client, provider, server, token)

    assert not is_in(client)
    assert Invitation.objects.open().exists()


def test_a_deactivated_member_is_not_let_in_by_an_invitation(
    provider, server, token, company, log
):
    member = join(company, Role.SALES, email=GRACE["email"])
    Membership.objects.filter(pk=member.pk).update(is_active=False)
    client = Client()

    come_in(client, provider, server, invitation=token)

    assert log() == ["The invited person is a member without access."]
    assert not is_in(client)


# The page of the invitation


def test_the_page_offers_the_provider_and_a_password(provider, token):
    page = Client().get(f"/invitations/{token}/").content.decode()

    assert "Continue with Okta" in page
    assert 'name="password"' in page


def test_the_page_offers_the_provider_alone_where_it_is_required(
    provider, server, token
):
    SignInProvider.objects.update(is_required=True)
    client = Client()

    page = client.get(f"/invitations/{token}/").content.decode()
    refused = accept(f"/invitations/{token}/")
    come_from_invitation(client, provider, server, token)

    assert "Sign in with Okta, as" in page
    assert 'name="password"' not in page + refused.content.decode()
    assert is_in(client)
    assert not User.objects.get(email=GRACE["email"]).has_usable_password()


def test_an_admin_may_set_a_password_though_it_is_required(provider, token):
    SignInProvider.objects.update(is_required=True)
    Invitation.objects.update(role=Role.ADMIN)
    client = Client()

    accept(f"/invitations/{token}/", client)

    assert client.get("/company/").status_code == 200


@pytest.mark.parametrize("way", ["password", "provider"])
def test_someone_who_is_signed_in_elsewhere_continues_with_the_required_provider(
    provider, server, token, other_company, way
):
    join(other_company, Role.SALES, email=GRACE["email"])
    client = Client()
    if way == "password":
        sign_in(client, GRACE["email"])
    else:
        come_in(client, provider_of(other_company, server), server)
    SignInProvider.objects.update(is_required=True)

    refused = client.post(f"/invitations/{token}/").content.decode()
    come_from_invitation(client, provider, server, token)

    assert "Continue with Okta" in refused
    assert "Northwind" in client.get("/leads/").content.decode()


def test_a_provider_of_no_one_is_not_offered(token):
    assert (
        "Continue with" not in Client().get(f"/invitations/{token}/").content.decode()
    )


def test_the_answer_is_bound_to_the_browser_that_opened_the_invitation(
    provider, server, token
):
    opened, other = Client(), Client()
    url = opened.post(
        f"/login/company/{provider.code}/", {"invitation": token}
    ).context["url"]

    arrive(other, server.authorize(url))

    assert not is_in(other)
    assert Invitation.objects.open().exists()
