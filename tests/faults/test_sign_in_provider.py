"""A real OpenID provider, as it comes and with claims in its ID token: each sign-in ends right, with its log line."""

import pytest
from django.test import Client
from django.urls import reverse

from crm.models import Membership, SignInProvider, User
from crm.models.roles import Role
from crm.models.sign_in_provider import code_of
from crm.services import people
from crm.services.outbound_connections import tls_context
from tests import npm
from tests.conftest import give_password, join
from tests.crm.accounts.conftest import sign_in
from tests.faults.oidc_provider import CLIENT, OidcProvider, make_authority

pytestmark = [
    pytest.mark.faults,
    pytest.mark.processes,
    pytest.mark.django_db,
    pytest.mark.timeout(400),
    pytest.mark.covers("S51"),
]

SITE, PAGE = "https://crm.example.com", "/company/sign-in/"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = npm.install(tmp_path_factory.mktemp("oidc-provider"), "oidc-provider@9")
    make_authority(folder)
    program = OidcProvider(folder)
    yield program
    program.stop()


@pytest.fixture(autouse=True)
def _operator(settings, program):
    """What the operator sets: the provider's host and authority."""
    settings.SITE_URL, settings.OUTBOUND_TO_LOOPBACK = SITE, False
    settings.OUTBOUND_ALLOWED, settings.CA_BUNDLE = (
        ["localhost"],
        str(program.folder / "authority.pem"),
    )
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.fixture
def redirect_uri(company):
    return SITE + reverse("company_sign_in_callback", args=[code_of(company.pk)])


@pytest.fixture(params=[True, False], ids=["as it comes", "claims in the ID token"])
def server(request, program, redirect_uri):
    program.start(redirect_uri, conformIdTokenClaims=request.param)
    return program


@pytest.fixture
def boss(client_as, admin):
    return give_password(client_as(admin))


def save(boss, server, **changes):
    return boss.post(
        PAGE,
        {"name": "Our provider", "issuer": server.issuer, **CLIENT, **changes},
        follow=True,
    )


@pytest.fixture
def provider(boss, server):
    assert "Our provider was saved." in save(boss, server).content.decode()
    return SignInProvider.objects.get()


@pytest.fixture
def log(caplog, company):
    """Returns what the log says of the provider, without its code."""
    caplog.set_level("INFO", "crm")
    return lambda: [
        text.replace(code_of(company.pk), "X")
        for text in caplog.messages
        if code_of(company.pk) in text
    ]


def invite(company, admin, name, role=Role.SALES):
    return people.invite(
        company=company, email=f"{name}@example.com", role=role, invited_by=admin.user
    )[1]


def begin(client, provider, **fields):
    return client.post(f"/login/company/{provider.code}/", fields).context["url"]


def come_in(client, provider, person, *, cancels=False, **fields):
    """Press the button, and come back from the provider. Returns the page that follows."""
    address = person.go(begin(client, provider, **fields), cancels=cancels)
    return client.get(address.removeprefix(SITE), follow=True)


def is_in(client):
    return client.get("/leads/").status_code == 200


def test_an_invited_person_comes_in_and_is_known_from_then_on(
    provider, server, company, admin, log
):
    invite(company, admin, "grace")
    first, second, grace = Client(), Client(), server.person("grace")

    page = come_in(first, provider, grace)
    come_in(second, provider, grace)

    assert "Welcome to Northwind BV." in page.content.decode()
    assert is_in(first)
    assert is_in(second)
    assert grace.forms == ["login", "consent"]
    assert str(User.objects.get(email="grace@example.com")) == "Grace Hopper"
    assert log() == []


def test_a_stranger_and_someone_unconfirmed_stay_out(
    provider, server, company, admin, log
):
    invite(company, admin, "unconfirmed")
    client = Client()

    stranger = come_in(client, provider, server.person("stranger")).content.decode()
    unconfirmed = come_in(
        client, provider, server.person("unconfirmed")
    ).content.decode()

    assert "Northwind BV has not added stranger@example.com." in stranger
    assert "Our provider says that your e-mail address is not confirmed." in unconfirmed
    assert not is_in(client)
    assert log() == [
        "A sign-in with provider X failed: No member and no pending invitation has the address.",
        "A sign-in with provider X failed: The claim email_verified is not true.",
    ]


def test_where_it_is_required_it_is_the_only_way(provider, server, company, admin, log):
    SignInProvider.objects.update(is_required=True)
    token = invite(company, admin, "grace")
    member = join(company, Role.SALES, email="ada@example.com")
    client, by_password = Client(), Client()

    sign_in(by_password, "ada@example.com")
    refused = by_password.get("/leads/").content.decode()
    invitation = client.get(f"/invitations/{token}/").content.decode()
    come_in(client, provider, server.person("grace"), invitation=token)
    come_in(by_password, provider, server.person("ada"))

    assert "asks you to sign in with Our provider" in refused
    assert 'name="password"' not in invitation
    assert is_in(client)
    assert is_in(by_password)
    assert Membership.objects.for_company(company).filter(user=member.user).count() == 1
    assert log() == []


def test_people_stay_known_when_it_changes_its_keys(
    provider, program, redirect_uri, company, sales, log
):
    come_in(Client(), provider, program.person("sales"))
    program.start(redirect_uri, hasNewKeys=True)
    client = Client()

    come_in(client, provider, program.person("sales"))

    assert is_in(client)
    assert log() == []


@pytest.mark.parametrize("is_there_too", [True, False])
def test_who_signs_out_is_asked_again(provider, server, sales, log, is_there_too):
    client, person = Client(), server.person("sales")
    come_in(client, provider, person)

    url = client.post("/logout/").context["url"]
    if is_there_too:
        assert "Success" in person.sign_out(url)
    person.forms.clear()
    come_in(client, provider, person)

    assert person.forms[0] == "login"
    assert is_in(client)
    assert log() == []


def test_who_cancels_is_not_in_and_reads_no_failure(provider, server, sales, log):
    client = Client()

    page = come_in(
        client, provider, server.person("sales"), cancels=True
    ).content.decode()

    assert "You were not signed in: this was cancelled" in page
    assert "did not work" not in page
    assert not is_in(client)
    assert log() == ["A sign-in with provider X was cancelled or not allowed there."]


def test_a_wrong_client_secret_is_in_the_log(provider, server, sales, log):
    provider.secret = "another"
    provider.save()
    client = Client()

    page = come_in(client, provider, server.person("sales")).content.decode()

    assert "Signing in with Our provider did not work." in page
    assert not is_in(client)
    assert log() == [
        "A sign-in with provider X failed: The provider refused the code: 401, invalid_client."
    ]


def test_userinfo_about_someone_else_lets_no_one_in(
    boss, program, redirect_uri, company, admin, log
):
    program.start(redirect_uri)
    save(boss, program)
    invite(company, admin, "liar")
    client = Client()

    page = come_in(
        client, SignInProvider.objects.get(), program.person("liar")
    ).content.decode()

    assert "Signing in with Our provider did not work." in page
    assert not is_in(client)
    assert log() == [
        "A sign-in with provider X failed: The provider's userinfo is about someone else."
    ]


# Reaching it


@pytest.mark.parametrize(
    ("setting", "value", "said", "logged"),
    [
        ("OUTBOUND_ALLOWED", [], "This host has no address on the internet.",
         "The host is not on the internet, and not allowed."),
        ("OUTBOUND_ALLOWED", ["10.0.0.0/8"], "This host has no address on the internet.",
         "The host is not on the internet, and not allowed."),
        ("CA_BUNDLE", "", "is from an authority that LeadMachine doesn&#x27;t know.",
         "The host's certificate is not valid: unable to get local issuer certificate."),
    ],
)  # fmt: skip
def test_it_is_reached_only_where_the_operator_allows_it(
    boss, program, redirect_uri, settings, log, setting, value, said, logged
):
    program.start(redirect_uri)
    setattr(settings, setting, value)
    tls_context.cache_clear()

    page = save(boss, program).content.decode()

    assert said in page
    assert log() == [f"Provider X can't be saved: {logged}"]
    assert not SignInProvider.objects.exists()


def test_a_pasted_address_and_one_without_a_provider_are_told_apart(
    boss, program, redirect_uri
):
    program.start(redirect_uri)

    pasted = save(
        boss, program, issuer=f"{program.issuer}/.well-known/openid-configuration"
    ).content.decode()
    other = save(boss, program, issuer=f"{program.issuer}/tenant").content.decode()
    closed = save(boss, program, issuer="https://localhost:9").content.decode()

    assert f"Enter its issuer: {program.issuer}" in pasted
    assert "There is no OpenID Connect provider at this address." in other
    assert "There is no HTTPS connection to this host." in closed
