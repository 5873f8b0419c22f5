"""S51: setting up a company's sign-in provider, with a secret that is never shown again."""

import pytest
from allauth.socialaccount.models import SocialAccount
from cryptography.fernet import Fernet
from django.core.management import call_command

from crm.models import AuditEntry, SignInProvider
from crm.models.crypto import Unreadable, seal_for
from crm.models.roles import Role
from crm.models.sign_in_provider import code_of
from tests import slow_servers
from tests.capi.linkedin.wire import Wire, saying
from tests.conftest import give_password, join
from tests.crm.accounts.openid_provider import OpenIdProvider

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S51")]

PAGE, REMOVE = "/company/sign-in/", "/company/sign-in/remove/"


@pytest.fixture
def server(settings):
    settings.OUTBOUND_TO_LOOPBACK = True
    server = OpenIdProvider()
    yield server
    server.close()


@pytest.fixture
def client(client_as, admin):
    return give_password(client_as(admin))


def values(server, **changes):
    return {
        "name": "Okta",
        "issuer": server.issuer,
        "client_id": "leadmachine",
        "secret": "s3cr3t-value",
        **changes,
    }


@pytest.fixture
def saved(client, server):
    client.post(PAGE, values(server))
    return SignInProvider.objects.get()


def linked(provider, user):
    return SocialAccount.objects.create(user=user, provider=provider.code, uid="1001")


def test_the_address_to_return_to_is_shown_before_and_stays_the_same(
    client, client_as, server, company
):
    """For the admin who saw it, in another session, and for a colleague; also after the provider was removed."""
    before = client.get(PAGE).context["callback_url"]
    colleague = give_password(
        client_as(join(company, Role.ADMIN, email="second@example.com"))
    )
    seen_by_colleague = colleague.get(PAGE).context["callback_url"]

    colleague.post(PAGE, values(server))
    after = client.get(PAGE).context["callback_url"]
    code = SignInProvider.objects.get().code
    client.post(REMOVE)

    assert {seen_by_colleague, after, client.get(PAGE).context["callback_url"]} == {
        before
    }
    assert f"/login/company/{code}/callback/" in before


def test_each_company_has_an_address_of_its_own(company, other_company):
    assert code_of(company.pk) != code_of(other_company.pk)
    assert len(code_of(company.pk)) == 12


def test_the_secret_is_sealed_for_the_company_and_shown_to_nobody(
    client, saved, other_company
):
    assert saved.secret == "s3cr3t-value"
    assert "s3cr3t" not in saved.sealed_secret
    assert "s3cr3t" not in client.get(PAGE).content.decode()
    assert "s3cr3t" not in str(AuditEntry.objects.values_list("details", flat=True))
    saved.company = other_company
    with pytest.raises(Unreadable):
        _ = saved.secret


def test_what_is_saved_is_on_record(saved):
    entry = AuditEntry.objects.get(action="sign_in_provider_saved")

    assert entry.details == {"fields": ["client_id", "issuer", "name", "secret"]}


def test_a_name_can_t_turn_the_messages_that_it_is_in(client, server):
    client.post(PAGE, values(server, name="Okta\u202e"))

    assert SignInProvider.objects.get().name == "Okta"


def test_an_empty_secret_keeps_the_stored_one_and_the_people(
    client, saved, server, sales
):
    linked(saved, sales.user)

    client.post(PAGE, values(server, name="Our Okta", secret=""))

    saved.refresh_from_db()
    assert (saved.name, saved.secret) == ("Our Okta", "s3cr3t-value")
    assert SocialAccount.objects.exists()


def test_a_stored_secret_never_goes_to_another_address(client, saved):
    other = OpenIdProvider()

    page = client.post(PAGE, values(other, secret=""))

    other.close()
    saved.refresh_from_db()
    assert "Enter the secret of this application." in page.content.decode()
    assert saved.issuer != other.issuer
    assert other.requests == []


@pytest.mark.parametrize("changes", [{"client_id": "another"}, {"issuer": "another"}])
def test_another_provider_knows_nobody_any_more(client, saved, sales, changes):
    linked(saved, sales.user)
    other = OpenIdProvider()
    changes = {
        name: other.issuer if name == "issuer" else value
        for name, value in changes.items()
    }

    client.post(PAGE, values(other, issuer=saved.issuer) | changes)

    other.close()
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    "issuer",
    ["http://example.com", "https://", "javascript:alert(1)", "https://user@example.com", "file:///etc/passwd",
     "https://[", "http://10.0.0.1", "x"],
)  # fmt: skip
def test_an_issuer_that_is_no_https_address_is_refused(client, server, issuer):
    page = client.post(PAGE, values(server, issuer=issuer))

    assert "Enter an address that begins with https://" in page.content.decode()
    assert not SignInProvider.objects.exists()


def test_an_address_in_our_network_is_refused_and_nothing_of_it_told(
    client, server, settings
):
    settings.OUTBOUND_TO_LOOPBACK = False

    page = client.post(
        PAGE, values(server, issuer=server.issuer.replace("http:", "https:"))
    )

    assert "the operator of LeadMachine has to allow it" in page.content.decode()
    assert server.requests == []


@pytest.mark.parametrize(
    ("issuer", "said"),
    [
        ("https://127.0.0.1:9", "There is no HTTPS connection to this host."),
        ("{issuer}/tenant", "There is no OpenID Connect provider at this address."),
        ("{issuer}/.well-known/openid-configuration", "Enter its issuer: {issuer}"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(client, server, caplog, issuer, said):
    page = client.post(PAGE, values(server, issuer=issuer.format(issuer=server.issuer)))

    assert said.format(issuer=server.issuer) in page.content.decode()
    assert not SignInProvider.objects.exists()


def test_a_certificate_of_an_unknown_authority_is_said(client, server, tmp_path):
    certificate = slow_servers.serving(slow_servers.make_certificate(tmp_path))

    with Wire(
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), tls=certificate
    ) as wire:
        page = client.post(PAGE, values(server, issuer=wire.url))

    assert "is from an authority that LeadMachine doesn" in page.content.decode()


@pytest.mark.parametrize(
    "answer",
    [
        {"issuer": "https://accounts.google.com"},
        {"jwks_uri": None},
        {"token_endpoint": "http://10.0.0.1/"},
    ],
)
def test_a_provider_that_does_not_say_what_it_must_is_not_saved(client, server, answer):
    server.discovery = answer

    page = client.post(PAGE, values(server))

    assert page.status_code == 200
    assert not SignInProvider.objects.exists()


def test_it_is_required_only_once_someone_has_signed_in_with_it(
    client, saved, server, sales
):
    wanted = values(server, secret="", is_required="on")

    refused = client.post(PAGE, wanted)
    linked(saved, sales.user)
    client.post(PAGE, wanted)

    assert "First sign in with it yourself" in refused.content.decode()
    saved.refresh_from_db()
    assert saved.is_required


def test_another_application_is_not_required_untried(client, saved, server, sales):
    linked(saved, sales.user)

    client.post(PAGE, values(server, client_id="another", is_required="on"))

    saved.refresh_from_db()
    assert not saved.is_required


def test_it_is_removed_with_all_it_knew(client, saved, sales):
    linked(saved, sales.user)

    client.post(REMOVE)

    assert not SignInProvider.objects.exists()
    assert not SocialAccount.objects.exists()
    assert AuditEntry.objects.filter(action="sign_in_provider_removed").exists()


@pytest.mark.parametrize("path", [PAGE, REMOVE])
def test_it_needs_a_fresh_password(client_as, admin, path):
    assert client_as(admin).get(path).url == f"/account/confirm/?next={path}"
    assert client_as(admin).post(path).url == f"/account/confirm/?next={path}"


def test_its_secret_is_rotated_and_counted_with_the_others(saved, settings, capsys):
    old = settings.TOKEN_KEYS
    settings.TOKEN_KEYS = [Fernet.generate_key().decode(), *old]

    call_command("rotate_token_keys")
    settings.TOKEN_KEYS = settings.TOKEN_KEYS[:1]

    saved.refresh_from_db()
    assert saved.secret == "s3cr3t-value"
    assert (
        "Client secrets: 0 with the newest key, 1 with an older one, 0 unreadable."
        in capsys.readouterr().out
    )


def test_a_secret_whose_key_is_lost_is_said_on_the_page(client, saved):
    SignInProvider.objects.update(sealed_secret=seal_for(saved.company_id + 1, "x"))

    assert "The client secret can't be read" in client.get(
        PAGE
    ).content.decode().replace("&#x27;", "'")
