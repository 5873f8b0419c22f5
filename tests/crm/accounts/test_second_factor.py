"""S15: codes of an authenticator app and recovery codes: each works once, and both are encrypted in the database."""

import json
import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.fernet import Fernet
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from crm.models import crypto
from tests.conftest import PASSWORD, code_now
from tests.crm.accounts.conftest import confirm_password, is_in, set_up_app, sign_in

pytestmark = pytest.mark.django_db

WRONG = "This code is incorrect or has already been used."


def give(client, code, address="198.51.100.7"):
    return client.post("/login/code/", {"code": code}, REMOTE_ADDR=address)


def test_without_the_code_the_password_lets_nobody_in(sales):
    set_up_app(sales.user)
    client = Client()

    response = sign_in(client)

    assert response.url == "/login/code/"
    assert not is_in(client)
    assert client.get("/company/").url.startswith("/login/")


def test_the_code_of_the_app_lets_one_in(sales):
    secret = set_up_app(sales.user)
    client = Client()
    sign_in(client)

    give(client, code_now(secret))

    assert is_in(client)


def test_a_code_is_good_once_for_as_long_as_it_is_valid(sales, clock):
    secret = set_up_app(sales.user)
    code = code_now(secret)
    first, second, third = Client(), Client(), Client()
    sign_in(first)
    give(first, code)

    sign_in(second)
    page = give(second, code)
    clock.goes_on(seconds=31)  # within the one step of drift
    sign_in(third)
    give(third, code)

    assert is_in(first)
    assert WRONG in page.content.decode()
    assert not is_in(second)
    assert not is_in(third)


@pytest.mark.parametrize("form", ["{0}-{1}", "{0} {1}", ".{0}{1}", "{0}{1}"])
@pytest.mark.parametrize("seconds", [0, 31, 64])
def test_a_used_code_counts_in_no_other_form_and_at_no_other_time(
    sales, clock, form, seconds
):
    secret = set_up_app(sales.user)
    # The phone's clock is a step ahead.
    ahead = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + 1))
    give(sign_in_with_password(), ahead)

    clock.goes_on(seconds=seconds)
    second = sign_in_with_password()
    give(second, form.format(ahead[:3], ahead[3:]))

    assert not is_in(second)


def test_a_code_of_an_earlier_step_than_the_last_one_used_is_refused(sales, clock):
    secret = set_up_app(sales.user)
    earlier = code_now(secret)
    clock.goes_on(seconds=30)
    give(sign_in_with_password(), code_now(secret))
    second, third = sign_in_with_password(), sign_in_with_password()

    give(second, earlier)
    clock.goes_on(seconds=30)
    give(third, code_now(secret))

    assert not is_in(second)
    assert is_in(third)


def test_the_code_that_set_the_app_up_signs_nobody_in(client_as, sales):
    client = client_as(sales)
    confirm_password(client)
    secret = client.get("/account/app/on/").context["form"].secret
    code = code_now(secret)
    client.post("/account/app/on/", {"code": code})
    second = sign_in_with_password()

    give(second, code)

    assert Authenticator.objects.get(type="totp").data["last_step"] > 0
    assert not is_in(second)


def test_a_code_counts_once_while_the_shared_cache_is_emptied(sales):
    code = code_now(set_up_app(sales.user))
    give(sign_in_with_password(), code)
    second = sign_in_with_password()

    cache.clear()
    give(second, code)

    assert not is_in(second)


def sign_in_with_password():
    client = Client()
    sign_in(client)
    return client


@pytest.mark.parametrize(
    ("drift", "let_in"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_one_step_of_drift_is_allowed(sales, clock, drift, let_in):
    secret = set_up_app(sales.user)
    client = Client()
    sign_in(client)
    # To the start of a step, so that none ends before the code is checked.
    clock.goes_on(seconds=30 - time.time() % 30)
    code = code_now(secret)

    clock.goes_on(seconds=drift)
    give(client, code)

    assert is_in(client) == let_in


def test_setting_it_up_needs_the_password_again(client_as, sales):
    client = client_as(sales)

    assert (
        client.get("/account/app/on/").url == "/account/confirm/?next=/account/app/on/"
    )
    client.post("/account/app/on/", {"code": "000000"})

    assert not Authenticator.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_setting_it_up_shows_the_recovery_codes_once(sales):
    client = Client()
    sign_in(client)
    confirm_password(client)
    secret = client.get("/account/app/on/").context["form"].secret

    shown = client.post("/account/app/on/", {"code": code_now(secret)}, follow=True)
    again = client.get("/account/recovery-codes/")

    codes = shown.context["unused_codes"]
    assert len(codes) == 10
    assert all(code in shown.content.decode() for code in codes)
    assert not any(code in again.content.decode() for code in codes)
    assert mail.outbox[0].subject == "An authenticator app was set up"


def test_a_wrong_code_sets_nothing_up(client_as, sales):
    client = client_as(sales)
    confirm_password(client)
    client.get("/account/app/on/")

    page = client.post("/account/app/on/", {"code": "000000"})

    assert WRONG in page.content.decode()
    assert not Authenticator.objects.exists()


def test_a_recovery_code_lets_one_in_once(client_as, sales):
    codes = recovery_codes(client_as(sales))
    first, second = Client(), Client()

    sign_in(first)
    give(first, codes[0])
    sign_in(second)
    give(second, codes[0])

    assert is_in(first)
    assert not is_in(second)


def recovery_codes(client):
    confirm_password(client)
    secret = client.get("/account/app/on/").context["form"].secret
    return client.post(
        "/account/app/on/", {"code": code_now(secret)}, follow=True
    ).context["unused_codes"]


@pytest.mark.parametrize("path", ["/account/app/off/", "/account/recovery-codes/new/"])
def test_changing_it_needs_the_password_again(sales, path):
    secret = set_up_app(sales.user)
    client = Client()
    sign_in(client)
    give(client, code_now(secret))

    response = client.post(path)

    assert response.url.startswith("/account/confirm/?next=")
    assert Authenticator.objects.count() == 1


def test_switching_it_off_voids_the_recovery_codes_and_is_told(sales):
    client = Client()
    sign_in(client)
    recovery_codes(client)

    client.post("/account/app/off/")

    assert not Authenticator.objects.exists()
    assert mail.outbox[-1].subject == "Your authenticator app was switched off"


def test_what_is_in_the_database_lets_nobody_in(client_as, sales):
    client = client_as(sales)
    confirm_password(client)
    secret = client.get("/account/app/on/").context["form"].secret
    codes = client.post(
        "/account/app/on/", {"code": code_now(secret)}, follow=True
    ).context["unused_codes"]

    kept = str(list(Authenticator.objects.values_list("data", flat=True)))

    assert secret not in kept
    assert not any(code in kept for code in codes)


@pytest.mark.covers("S15")
def test_recovery_codes_that_were_shown_are_hashes_that_no_key_opens(client_as, sales):
    codes = recovery_codes(client_as(sales))

    data = Authenticator.objects.get(type="recovery_codes").data
    hashes = json.loads(crypto.unseal(data["hashes"]))

    assert data.keys() == {"hashes", "salt", "viewed_at"}
    assert len(set(hashes)) == 10
    assert all(re.fullmatch("[0-9a-f]{64}", kept) for kept in hashes)
    assert not any(code in str(hashes) for code in codes)


@pytest.mark.covers("S15")
def test_each_recovery_code_counts_once_and_a_wrong_one_uses_none_up(client_as, sales):
    codes = recovery_codes(client_as(sales))
    stored = Authenticator.objects.get(type="recovery_codes")
    wrong = next(
        str(number) for number in range(10**7, 10**8) if str(number) not in codes
    )

    answers = [
        stored.wrap().validate_code(code)
        for code in (codes[3], codes[3], wrong, "", "\u0663", codes[9])
    ]

    assert answers == [True, False, False, False, False, True]
    stored.refresh_from_db()
    assert len(stored.wrap().get_unused_codes()) == 8


@pytest.mark.covers("S15")
def test_recovery_codes_outlast_a_rotation_of_keys(client_as, sales, settings):
    codes = recovery_codes(client_as(sales))
    settings.TOKEN_KEYS = [Fernet.generate_key().decode(), *settings.TOKEN_KEYS]

    call_command("rotate_token_keys")
    settings.TOKEN_KEYS = settings.TOKEN_KEYS[:1]

    assert (
        Authenticator.objects.get(type="recovery_codes").wrap().validate_code(codes[0])
    )


def test_keys_are_rotated_with_those_of_the_access_tokens(sales, settings, capsys):
    old = Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [old]
    secret = set_up_app(sales.user)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode(), old]

    call_command("rotate_token_keys", "--dry-run")
    call_command("rotate_token_keys")
    settings.TOKEN_KEYS = settings.TOKEN_KEYS[:1]
    client = Client()
    sign_in(client)
    give(client, code_now(secret))

    printed = capsys.readouterr().out
    assert (
        printed.count(
            "Second factors: 0 with the newest key, 1 with an older one, 0 unreadable."
        )
        == 2
    )
    assert secret not in printed
    assert is_in(client)


def test_nothing_opens_it_without_its_key(settings):
    sealed = crypto.seal("secret")
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(crypto.Unreadable):
        crypto.unseal(sealed)


def test_the_password_is_asked_for_again_after_five_minutes(client_as, sales, clock):
    client = client_as(sales)
    client.post("/account/confirm/", {"password": PASSWORD})
    assert client.get("/account/app/on/").status_code == 200

    clock.goes_on(seconds=301)

    assert client.get("/account/app/on/").status_code == 302
