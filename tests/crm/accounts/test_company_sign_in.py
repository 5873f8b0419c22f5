"""S51: signing in with a company's own provider, which vouches for its people in that company alone."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.test import Client

from crm.models import AuditEntry, Membership, SignInProvider
from crm.models.roles import Role
from crm.services.sign_in_providers import save_provider
from tests.conftest import PASSWORD, code_now, join
from tests.crm.accounts.conftest import set_up_app, sign_in
from tests.crm.accounts.openid_provider import OTHER_KEY, OpenIdProvider

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S51")]


@pytest.fixture
def server(settings):
    settings.OUTBOUND_TO_LOOPBACK = True
    server = OpenIdProvider()
    yield server
    server.close()


def provider_of(company, server, **fields):
    provider = SignInProvider(
        company=company,
        name="Okta",
        issuer=server.issuer,
        client_id=server.client_id,
        **fields,
    )
    provider.secret = server.client_secret
    provider.save()
    return provider


@pytest.fixture
def provider(company, server):
    return provider_of(company, server)


def begin(client, provider, **fields):
    """Press the button. Returns the address at the provider."""
    return client.post(f"/login/company/{provider.code}/", fields).context["url"]


def arrive(client, address):
    """Come back from the provider. Returns the page that follows."""
    return client.get(address.removeprefix("https://crm.example.com"), follow=True)


def come_in(client, provider, server, **fields):
    return arrive(client, server.authorize(begin(client, provider, **fields)))


def is_in(client):
    return client.get("/leads/").status_code == 200


def test_a_member_comes_in_where_they_wanted_to(provider, server, sales):
    client = Client()

    page = come_in(client, provider, server, next="/deals/")

    assert page.redirect_chain[-1][0] == "/deals/"
    assert is_in(client)
    assert [message.subject for message in mail.outbox] == [
        "You can now sign in with your company"
    ]


def test_what_is_asked_has_state_nonce_and_pkce_and_returns_to_our_site(
    provider, server
):
    url = begin(Client(HTTP_HOST="testserver"), provider)

    asked = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{server.issuer}/authorize?")
    assert (
        asked["redirect_uri"]
        == f"https://crm.example.com/login/company/{provider.code}/callback/"
    )
    assert asked["code_challenge_method"] == "S256"
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    assert len(asked["state"]) >= 16
    assert len(asked["nonce"]) >= 32


def test_the_provider_knows_a_person_by_their_id_from_then_on(provider, server, sales):
    come_in(Client(), provider, server)
    server.person = {
        "sub": "1001",
        "email": "married@example.com",
        "email_verified": False,
    }
    client = Client()

    come_in(client, provider, server)

    assert is_in(client)
    assert SocialAccount.objects.get().extra_data == {"id_token": {"sub": "1001"}}


@pytest.mark.parametrize(
    "person",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email": None},
        {"email": "\u017fales@example.com"},  # a long s
        {"email": "stranger@example.com"},
        {"email": ["sales@example.com"]},
        {"email": "sales\x00@example.com"},
    ],
)
def test_an_address_that_is_not_vouched_for_or_not_a_member_s_lets_nobody_in(
    provider, server, sales, person
):
    server.claims = person
    client = Client()

    page = come_in(client, provider, server)

    assert page.redirect_chain[-1][0] == f"/login/company/{provider.code}/"
    assert not is_in(client)
    assert not SocialAccount.objects.exists()


def test_someone_of_another_company_is_not_let_in_nor_found_out(
    provider, server, sales, other_company
):
    join(other_company, Role.ADMIN, email="boss@example.com")
    server.person = {"sub": "1", "email": "boss@example.com", "email_verified": True}
    client = Client()

    theirs = come_in(client, provider, server).content.decode()
    server.person = {"sub": "2", "email": "nobody@example.com", "email_verified": True}
    nobodys = come_in(client, provider, server).content.decode()

    assert not is_in(client)
    told = "Northwind BV has not added"
    assert told in theirs
    assert told in nobodys


def test_a_session_of_a_provider_opens_its_company_alone(
    provider, server, sales, other_company
):
    Membership.objects.create(company=other_company, user=sales.user, role=Role.ADMIN)
    client = Client()
    come_in(client, provider, server)

    client.post("/switch-company/", {"company": other_company.pk})

    assert "Contoso" not in client.get("/leads/").content.decode()
    assert client.get("/company/").status_code == 403  # an admin there, sales here
    assert not AuditEntry.objects.for_company(other_company).exists()
    assert (
        AuditEntry.objects.filter(action="sign_in").get().company_id
        == provider.company_id
    )


def test_of_two_companies_each_provider_opens_its_own(
    provider, server, sales, other_company
):
    Membership.objects.create(company=other_company, user=sales.user, role=Role.ADMIN)
    theirs = provider_of(other_company, server)
    client = Client()

    come_in(client, theirs, server)

    assert client.get("/company/").status_code == 200
    assert "Northwind" not in client.get("/leads/").content.decode()


OWN = ["/account/", "/account/sessions/", "/account/passkeys/", "/account/address/",
       "/account/app/on/", "/account/passkeys/new/", "/account/recovery-codes/new/"]  # fmt: skip


@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_the_person_s_own_needs_their_password(
    provider, server, sales, path, method
):
    client = Client()
    come_in(client, provider, server)

    response = getattr(client, method)(path, {"first_name": "Mallory"})
    asked = client.get(path, follow=True)

    assert response.url.startswith(
        ("/account/confirm/", "/account/recovery-codes/", "/account/")
    )
    assert (
        "Enter your password to continue." in asked.content.decode()
        or path == "/account/recovery-codes/new/"
    )
    sales.user.refresh_from_db()
    assert sales.user.first_name == "Sales"


def test_with_the_password_it_opens_and_stays_bound_to_the_company(
    provider, server, sales, other_company
):
    Membership.objects.create(company=other_company, user=sales.user, role=Role.ADMIN)
    client = Client()
    come_in(client, provider, server)

    client.post("/account/confirm/", {"password": PASSWORD})

    assert client.get("/account/").status_code == 200
    assert "Contoso" not in client.get("/leads/").content.decode()


def test_what_asks_for_a_fresh_password_asks_a_session_of_a_provider_too(
    provider, server, admin
):
    server.person = {"sub": "7", "email": "admin@example.com", "email_verified": True}
    client = Client()
    come_in(client, provider, server)

    assert client.get("/company/").status_code == 200
    assert client.get("/company/sign-in/").url.startswith("/account/confirm/")
    assert client.get("/integrations/linkedin/token/").url.startswith(
        "/account/confirm/"
    )


def test_a_person_s_own_second_factor_is_asked_for_all_the_same(
    provider, server, sales
):
    secret = set_up_app(sales.user)
    client = Client()

    page = come_in(client, provider, server)
    assert page.redirect_chain[-1][0] == "/login/code/"
    assert not is_in(client)
    client.post("/login/code/", {"code": code_now(secret)})

    assert is_in(client)


def test_a_provider_opens_the_operators_admin_to_nobody(provider, server, sales):
    sales.user.is_staff = sales.user.is_superuser = True
    sales.user.save()
    secret = set_up_app(sales.user)
    client = Client()
    come_in(client, provider, server)
    client.post("/login/code/", {"code": code_now(secret)})

    assert client.get("/admin/", follow=True).status_code == 403


@pytest.mark.parametrize("whose", ["person", "membership", "company"])
def test_a_deactivated_one_is_not_let_in_and_loses_the_session(
    provider, server, sales, whose
):
    client, later = Client(), Client()
    come_in(client, provider, server)
    closed = {"person": sales.user, "membership": sales, "company": sales.company}[
        whose
    ]
    closed.is_active = False
    closed.save()

    assert client.get("/leads/").status_code in (302, 403, 404)
    response = later.post(f"/login/company/{provider.code}/")
    if response.status_code == 200:
        arrive(later, server.authorize(response.context["url"]))

    assert not is_in(later)


def test_another_person_at_the_provider_does_not_take_over_a_known_address(
    provider, server, sales
):
    come_in(Client(), provider, server)
    server.person = {
        "sub": "2002",
        "email": "sales@example.com",
        "email_verified": True,
    }
    client = Client()

    page = come_in(client, provider, server)

    assert "belongs to someone else at Okta" in page.content.decode()
    assert not is_in(client)


LONG_KEY = {
    "kty": "RSA",
    "kid": "key-1",
    "alg": "RS256",
    "e": "AQAB",
    "n": "Qh7_" * 16_000,
    "d": "x9Tz" * 16_000,
}
WRONG_TOKENS = {
    "of another issuer": lambda server: server.claims.update(
        iss="https://accounts.example.com"
    ),
    "for another application": lambda server: server.claims.update(aud="someone-else"),
    "for several, another one's first": lambda server: server.claims.update(
        aud=["leadmachine", "x"], azp="x"
    ),
    "expired": lambda server: server.claims.update(exp=1_700_000_000),
    "without an end": lambda server: server.claims.update(exp=None),
    "for another sign-in": lambda server: server.claims.update(nonce="another"),
    "without a nonce": lambda server: server.claims.update(nonce=None),
    "about nobody": lambda server: server.claims.update(sub=""),
    "about a long id": lambda server: server.claims.update(sub="1" * 192),
    "about what no database stores": lambda server: server.claims.update(sub="1\x00"),
    "about half a character": lambda server: server.claims.update(sub="\ud800"),
    "about a number": lambda server: server.claims.update(sub=7),
    "signed by another key": lambda server: setattr(server, "key", OTHER_KEY),
    "not signed": lambda server: (
        setattr(server, "key", None),
        setattr(server, "algorithm", "none"),
    ),
    "signed with our secret": lambda server: (
        setattr(server, "key", server.client_secret.ljust(32, "!")),
        setattr(server, "algorithm", "HS256"),
    ),
    "no token": lambda server: server.token.update(id_token="x.y.z"),
    "a list": lambda server: server.token.update(id_token=["x"]),
    "missing": lambda server: server.token.update(id_token=None),
    "with odd keys": lambda server: server.jwks.update(
        keys=[{"kty": "oct", "k": "AAAA", "kid": "key-1"}, 7]
    ),
    # With its private part, cryptography would compute the rest for minutes, and no other thread would run.
    "with a key of 400,000 bits": lambda server: server.jwks.update(keys=[LONG_KEY]),
    "with no keys": lambda server: server.jwks.update(keys=None),
    "from a provider that changed its name": lambda server: server.discovery.update(
        issuer="https://evil.example"
    ),
    "from an address in our network": lambda server: server.discovery.update(
        token_endpoint="https://10.0.0.1/"
    ),
    "without an address": lambda server: server.discovery.update(token_endpoint=None),
    "with a redirect for keys": lambda server: server.discovery.update(
        jwks_uri="file:///etc/passwd"
    ),
}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (
            {"token_endpoint_auth_methods_supported": 5},
            "token_endpoint_auth_methods_supported is not a list.",
        ),
        (
            {"token_endpoint_auth_methods_supported": {"client_secret_post": 1}},
            "is not a list.",
        ),
        (
            {"token_endpoint": ["https://id.example.com"]},
            "token_endpoint is not an address.",
        ),
        (
            {"jwks_uri": "https://id.example.com/" + "x" * 100_000},
            "jwks_uri is not an address.",
        ),
        ({"issuer": None}, "The provider reports a different issuer."),
    ],
)
def test_a_provider_with_an_odd_document_gets_a_page_and_a_line_in_the_log(
    provider, server, client, caplog, odd, reason
):
    server.discovery = odd

    page = client.post(f"/login/company/{provider.code}/", follow=True)

    assert page.status_code == 200
    assert "Okta can&#x27;t be reached at the moment." in page.content.decode()
    [line] = [
        record.getMessage()
        for record in caplog.records
        if provider.code in record.getMessage()
    ]
    assert reason in line
    assert len(line) < 300


@pytest.mark.parametrize("wrong", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
def test_a_token_that_is_wrong_in_any_way_lets_nobody_in(
    provider, server, sales, wrong
):
    client = Client()
    url = begin(client, provider)
    wrong(server)

    page = arrive(client, server.authorize(url))

    assert "Signing in with Okta did not work." in page.content.decode()
    assert not is_in(client)


def test_an_answer_that_was_not_asked_for_or_is_of_another_browser_lets_nobody_in(
    provider, server, sales
):
    client, attacker = Client(), Client()
    address = server.authorize(begin(attacker, provider))

    assert "did not work" in arrive(client, address).content.decode()
    assert (
        "did not work"
        in arrive(client, re.sub("state=[^&]+", "state=", address)).content.decode()
    )

    assert not is_in(client)


def test_an_answer_counts_once(provider, server, sales):
    client = Client()
    address = server.authorize(begin(client, provider))
    arrive(client, address)
    client.post("/logout/")

    assert "did not work" in arrive(client, address).content.decode()
    assert not is_in(client)


def test_an_answer_for_one_company_is_none_for_another(
    provider, server, sales, other_company
):
    theirs = provider_of(other_company, server)
    Membership.objects.create(company=other_company, user=sales.user, role=Role.ADMIN)
    client = Client()
    address = server.authorize(begin(client, provider))

    page = arrive(client, address.replace(provider.code, theirs.code))

    assert "did not work" in page.content.decode()
    assert not is_in(client)


def test_a_link_signs_nobody_in_only_the_button_does(provider, strict_client):
    assert "url" not in (
        strict_client.get(f"/login/company/{provider.code}/").context or {}
    )
    assert strict_client.post(f"/login/company/{provider.code}/").status_code == 403


@pytest.mark.parametrize(
    "next_url",
    ["https://evil.example/", "//evil.example", "abc", "javascript:alert(1)"],
)
def test_one_arrives_at_no_other_site(provider, server, sales, next_url):
    page = come_in(Client(), provider, server, next=next_url)

    assert page.redirect_chain[-1][0].startswith("/")
    assert "evil" not in str(page.redirect_chain)


def test_the_sign_in_page_offers_the_company_that_was_used_last(
    provider, server, sales
):
    client = Client()
    come_in(client, provider, server)
    client.post("/logout/")

    assert "Continue with Okta" in client.get("/login/").content.decode()
    assert "Continue with Okta" not in Client().get("/login/").content.decode()


@pytest.mark.parametrize(
    "entered", ["{code}", " https://crm.example.com/login/company/{code}/ ", "nothing"]
)
def test_a_company_is_found_by_its_code_or_link(provider, client, entered):
    response = client.post(
        "/login/company/", {"code": entered.format(code=provider.code)}
    )

    assert (response.status_code == 302) == ("code" in entered)


@pytest.mark.parametrize("change", ["issuer", "client_id"])
def test_sessions_end_with_the_provider_that_made_them(provider, server, sales, change):
    """Even if the new one knows the person by the same id: the session belongs to the person whom the old one named."""
    old, new, by_password = Client(), Client(), Client()
    come_in(old, provider, server)
    sign_in(by_password)
    assert is_in(old)

    server.client_id = provider.client_id = (
        "another" if change == "client_id" else provider.client_id
    )
    save_provider(provider=provider, secret="", fields=[change])
    forgotten = is_in(old)
    come_in(new, provider, server)

    assert (forgotten, is_in(old), is_in(new), is_in(by_password)) == (
        False,
        False,
        True,
        True,
    )


# Where a company requires it


def test_a_required_provider_shuts_a_password_out_of_the_company_at_once(
    provider, server, sales
):
    client = Client()
    sign_in(client)
    assert is_in(client)

    SignInProvider.objects.update(is_required=True)
    page = client.get("/leads/")

    assert page.status_code == 403
    assert "Northwind BV asks you to sign in with Okta." in page.content.decode()
    assert client.get("/api/v1/leads/").status_code == 403
    come_in(client, provider, server)
    assert is_in(client)


def test_a_required_provider_shuts_nobody_out_of_another_company(
    provider, sales, other_company
):
    Membership.objects.create(company=other_company, user=sales.user, role=Role.SALES)
    SignInProvider.objects.update(is_required=True)
    client = Client()

    sign_in(client)

    assert "Contoso" in client.get("/leads/").content.decode()


def test_an_admin_gets_in_though_the_provider_is_required_and_away(
    provider, server, admin
):
    SignInProvider.objects.update(is_required=True, issuer="http://127.0.0.1:9")
    client = Client()

    page = client.post(f"/login/company/{provider.code}/", follow=True)
    sign_in(client, "admin@example.com")

    assert "Okta can&#x27;t be reached at the moment." in page.content.decode()
    assert client.get("/company/").status_code == 200
