"""S49: second factors whose key is lost: a sentence and no error page, no one let in by it, no one else shut out."""

import html
import logging
import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.conf import settings as product
from django.test import Client

from crm.accounts.middleware import SEEN
from crm.models import ApiKey, crypto
from crm.models.roles import Role
from tests.conftest import code_now, give_password, join
from tests.crm.accounts.conftest import confirm_password, set_up_app, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.covers("F71", "S49")]

# Where something encrypted is decrypted, and the test of what happens there without its key.
OPENED_IN = {
    "capi/diagnostics/setup.py": "tests/capi/diagnostics/test_access_token.py",
    "capi/delivery/sending.py": "tests/security/test_lost_keys.py",
    "capi/delivery/linkedin_rules.py": "tests/capi/delivery/test_linkedin_rules.py",
    "capi/models/token.py": "tests/capi/models/test_token.py",
    "crm/accounts/adapter.py": "tests/security/test_lost_second_factors.py",
    "crm/accounts/typed_forms.py": "tests/security/test_lost_second_factors.py",
    "crm/accounts/mails.py": "tests/crm/accounts/test_mails.py",
    "crm/accounts/codes.py": "tests/security/test_lost_second_factors.py",
    "crm/views/company.py": "tests/security/test_lost_second_factors.py",
}
ALL_LOST = "No code can be checked: this installation has lost the encryption key of your second factor."


@pytest.fixture
def lost_key(settings: Any) -> str:
    """The only key that there is, until `lose` replaces it."""
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    return str(settings.TOKEN_KEYS[0])


def lose(settings: Any) -> None:
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]


def give(client: Client, code: str) -> Any:
    return client.post("/login/code/", {"code": code}, REMOTE_ADDR="198.51.100.7")


def text(page: Any) -> str:
    return html.unescape(page.content.decode())


def is_in(client: Client) -> bool:
    return client.get("/leads/").status_code == 200


def recovery_codes(client: Client) -> list[str]:
    """Set up an authenticator app, and return the recovery codes that are shown for it."""
    confirm_password(client)
    secret = client.get("/account/app/on/").context["form"].secret
    shown = client.post("/account/app/on/", {"code": code_now(secret)}, follow=True)
    return list(shown.context["unused_codes"])


def reseal(kind: str, *, key: str) -> None:
    """Encrypt the second factors of this kind with a key of their own."""
    for stored in Authenticator.objects.filter(type=kind):
        name = "secret" if kind == "totp" else "hashes"
        stored.data[name] = (
            Fernet(key).encrypt(crypto.unseal(stored.data[name]).encode()).decode()
        )
        stored.save()


def test_a_code_that_can_not_be_checked_lets_nobody_in_and_says_why(
    lost_key: str, sales: Any, settings: Any
) -> None:
    secret = set_up_app(sales.user)
    stored = list(Authenticator.objects.values())
    lose(settings)
    client = Client()
    sign_in(client)

    page = give(client, code_now(secret))

    assert page.status_code == 200
    assert ALL_LOST in page.content.decode()
    assert not is_in(client)
    assert list(Authenticator.objects.values()) == stored


def test_the_log_names_the_keys_that_are_there_and_when_the_lost_one_was_used(
    lost_key: str, sales: Any, settings: Any, caplog: Any
) -> None:
    secret = set_up_app(sales.user)
    lose(settings)
    client = Client()
    sign_in(client)

    give(client, code_now(secret))

    said = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR
    ]
    assert len(said) == 1
    assert (
        f"The authenticator app of user {sales.user.pk} can't be decrypted" in said[0]
    )
    assert crypto.fingerprint(settings.TOKEN_KEYS[0]) in said[0]
    assert crypto.fingerprint(lost_key) not in said[0]  # nobody can know it
    assert "It was encrypted on 2" in said[0]
    assert secret not in caplog.text
    assert not any(key in caplog.text for key in [lost_key, *settings.TOKEN_KEYS])


def test_everybody_else_signs_in_as_ever(
    lost_key: str, company: Any, settings: Any
) -> None:
    locked_out, with_app = join(company, Role.SALES), join(company, Role.OPS)
    join(company, Role.ADMIN)
    set_up_app(locked_out.user)
    lose(settings)
    secret = set_up_app(with_app.user)  # set up since then, with the key that is there
    without_app, other = Client(), Client()

    sign_in(without_app, email="admin@example.com")
    sign_in(other, email="ops@example.com")
    give(other, code_now(secret))

    assert is_in(without_app)
    assert is_in(other)


def test_a_recovery_code_lets_one_in_whose_app_can_not_be_read(
    lost_key: str, client_as: Any, sales: Any, settings: Any
) -> None:
    codes = recovery_codes(client_as(sales))
    kept = Fernet.generate_key().decode()
    reseal("recovery_codes", key=kept)
    settings.TOKEN_KEYS = [kept]
    refused, let_in = Client(), Client()

    sign_in(refused)
    page = give(refused, "000000")
    sign_in(let_in)
    give(let_in, codes[0])

    assert "Your app's codes can't be checked" in text(page)
    assert "Enter one of your recovery codes" in text(page)
    assert is_in(let_in)


def test_the_app_lets_one_in_whose_recovery_codes_can_not_be_read(
    lost_key: str, client_as: Any, sales: Any, settings: Any
) -> None:
    codes = recovery_codes(client_as(sales))
    Authenticator.objects.filter(type="totp").delete()
    kept = Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [kept]
    secret = set_up_app(sales.user)
    refused, let_in = Client(), Client()

    sign_in(refused)
    page = give(refused, codes[0])
    sign_in(let_in)
    give(let_in, code_now(secret))

    assert "Your recovery codes can't be checked" in text(page)
    assert not is_in(refused)
    assert is_in(let_in)


def test_a_code_that_is_merely_wrong_is_said_to_be_wrong(
    lost_key: str, sales: Any
) -> None:
    set_up_app(sales.user)
    client = Client()
    sign_in(client)

    page = give(client, "000000").content.decode()

    assert "This code is incorrect" in page
    assert ALL_LOST not in page


def test_who_is_asked_for_a_code_again_is_told_too(
    lost_key: str, client_as: Any, sales: Any, settings: Any
) -> None:
    client = client_as(sales)
    secret = set_up_app(sales.user)
    lose(settings)

    page = client.post("/account/confirm/code/", {"code": code_now(secret)})

    assert page.status_code == 200
    assert ALL_LOST in text(page)


def test_guessing_ends_after_five_here_too(
    lost_key: str, sales: Any, settings: Any
) -> None:
    set_up_app(sales.user)
    lose(settings)
    client = Client()
    sign_in(client)

    pages = [give(client, "000000").content.decode() for _ in range(6)]

    assert [ALL_LOST in page for page in pages] == [True] * 5 + [False]
    assert "Too many wrong codes." in pages[5]


def test_who_is_signed_in_sets_it_up_again_by_themselves(
    lost_key: str, client_as: Any, sales: Any, settings: Any
) -> None:
    client = client_as(sales)
    recovery_codes(client)
    lose(settings)

    page = client.get("/account/").content.decode()
    pages = [
        client.get(path).status_code
        for path in ("/account/recovery-codes/", "/account/recovery-codes/new/")
    ]
    client.post("/account/app/off/")
    codes = recovery_codes(client)

    # Of the app and of the recovery codes.
    assert page.count("this installation has lost") == 2
    assert pages == [200, 200]
    assert len(codes) == 10


def test_looking_at_recovery_codes_that_can_not_be_read_destroys_nothing(
    lost_key: str, client_as: Any, sales: Any, settings: Any
) -> None:
    client = client_as(sales)
    set_up_app(sales.user)
    confirm_password(client)
    client.post("/account/recovery-codes/new/")
    stored = Authenticator.objects.get(type="recovery_codes")
    lose(settings)

    page = client.get("/account/recovery-codes/")
    stored.refresh_from_db()
    settings.TOKEN_KEYS = [lost_key]

    assert page.status_code == 200
    assert "seed" in stored.data
    assert len(client.get("/account/recovery-codes/").context["unused_codes"]) == 10


def test_the_text_of_a_key_that_was_just_made_is_not_shown_and_it_is_said_why(
    lost_key: str, client_as: Any, admin: Any, settings: Any
) -> None:
    client = give_password(client_as(admin))
    client.post("/company/api-keys/new/", {"name": "Form", "role": "sales"})
    assert ApiKey.objects.count() == 1
    lose(settings)

    page = client.get("/company/api-keys/made/", follow=True)

    assert page.status_code == 200
    assert "This key can no longer be shown. Revoke it and create another." in text(
        page
    )


def test_what_was_typed_before_the_keys_were_lost_is_left_out_of_the_form(
    client_as: Any, sales: Any, settings: Any
) -> None:
    client = client_as(sales)
    session = client.session
    session[SEEN] = 0
    session.save()
    client.post("/leads/new/", {"first_name": "Grace"})
    client.force_login(sales.user, backend="crm.accounts.adapter.EmailBackend")
    lose(settings)

    page = client.get("/leads/new/")

    assert page.status_code == 200
    assert "Grace" not in text(page)


def test_every_place_that_opens_something_sealed_has_its_test() -> None:
    paths = [
        path
        for app in ("capi", "crm", "leadmachine")
        for path in (product.BASE_DIR / app).rglob("*.py")
    ]
    opening = {
        str(path.relative_to(product.BASE_DIR))
        for path in paths
        if path.name != "crypto.py"
        and path.parent.name != "migrations"
        and re.search(r"\bunseal\(|\.decrypt\(|\bFernet\(.*\)\.", path.read_text())
    }

    assert opening == OPENED_IN.keys()
    tests = {test: (product.BASE_DIR / test).read_text() for test in OPENED_IN.values()}
    assert [
        test
        for test, text in tests.items()
        if not re.search("TOKEN_KEYS|UnreadableToken", text)
    ] == []
