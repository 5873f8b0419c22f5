"""S15: guessing codes ends soon, at an address and in all, and the owner gets in all the same."""

import time

import pytest
from django.core import mail
from django.test import Client

from crm.accounts import attempts
from crm.services.people import confirm_address
from tests.conftest import PASSWORD, code_now
from tests.crm.accounts.conftest import is_in, link, set_up_app, sign_in
from tests.crm.accounts.device import Device
from tests.crm.accounts.test_company_sign_in import come_in, provider, server
from tests.crm.accounts.test_passkeys import add, browser
from tests.crm.accounts.test_passwords import NEW, choose
from tests.crm.accounts.test_second_factor import WRONG, give, recovery_codes

__all__ = ["provider", "server"]

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S15")]

ATTACKER, HOME = "203.0.113.9", "198.51.100.7"
HERE = "Too many wrong codes. Wait 15 minutes, then try again."
IN_ALL = (
    "Too many wrong codes were entered for your account today, from several addresses."
)


def guess(times, address=ATTACKER, code="000000"):
    """Sign in with the right password from there, then guess so often. Returns the pages."""
    client = Client()
    sign_in(client, address=address)
    return [give(client, code, address).content.decode() for _ in range(times)]


def guess_from_everywhere(addresses):
    for number in range(addresses):
        guess(5, f"203.0.113.{number}")


def owner(code, address=HOME):
    client = Client()
    sign_in(client, address=address)
    return client, give(client, code, address)


@pytest.fixture
def few(monkeypatch):
    """Of an account, fifteen codes a day."""
    monkeypatch.setattr(attempts, "OF_AN_ACCOUNT", 15)


def test_five_wrong_codes_lock_the_step_at_that_address_and_nowhere_else(sales):
    secret = set_up_app(sales.user)

    pages = guess(6)
    attacker, refused = owner(code_now(secret), ATTACKER)
    client, _ = owner(code_now(secret))

    assert all(WRONG in page for page in pages[:5])
    assert HERE in pages[5]
    assert HERE in refused.content.decode()
    assert not is_in(attacker)
    assert is_in(client)


def test_guesses_at_recovery_codes_lock_them_at_that_address_and_nowhere_else(
    client_as, sales
):
    own = recovery_codes(client_as(sales))

    pages = guess(6, code="00000000")
    attacker, _ = owner(own[0], ATTACKER)
    client, _ = owner(own[0])

    assert HERE in pages[5]
    assert not is_in(attacker)
    assert is_in(client)


def test_the_lock_of_an_address_ends_after_15_minutes(sales, clock):
    secret = set_up_app(sales.user)
    guess(6)

    clock.goes_on(seconds=15 * 60)
    client, _ = owner(code_now(secret), ATTACKER)

    assert is_in(client)


def test_right_codes_do_not_count_and_wrong_ones_stay_counted(sales, clock):
    secret = set_up_app(sales.user)
    clock.goes_on(seconds=900 - time.time() % 900)  # to the start of a span
    guess(4)

    for _ in range(6):
        clock.goes_on(seconds=30)
        client, _ = owner(code_now(secret), ATTACKER)
        assert is_in(client)

    assert HERE in guess(2)[1]


def test_a_network_of_ipv6_addresses_counts_as_one(sales):
    set_up_app(sales.user)

    for number in range(5):
        guess(1, f"2001:db8:1:2::{number}")

    assert HERE in guess(1, "2001:db8:1:2:ffff::1")[0]
    assert WRONG in guess(1, "2001:db8:1:3::1")[0]


def test_from_however_many_addresses_a_hundred_codes_a_day_are_compared(
    sales, monkeypatch
):
    set_up_app(sales.user)
    compared = []
    monkeypatch.setattr(
        "crm.accounts.mfa.use_code", lambda user, code: compared.append(code)
    )

    for number in range(25):
        guess(6, f"203.0.113.{number}")

    assert len(compared) == 100


def test_an_account_that_was_guessed_at_from_everywhere_opens_with_a_new_password(
    sales, few, clock
):
    secret = set_up_app(sales.user)
    confirm_address(sales.user)
    guess_from_everywhere(4)
    shut_out, page = owner(code_now(secret))
    warned = [message.subject for message in mail.outbox].count(
        "Someone may know your password"
    )

    client = Client()
    client.post("/password/reset/", {"email": "sales@example.com"})
    choose(client, link())
    sign_in(client, password=NEW)
    give(client, code_now(secret))

    assert IN_ALL in page.content.decode()
    assert 'href="/password/reset/"' in page.content.decode()
    assert not is_in(shut_out)
    assert warned == 1
    assert is_in(client)


def test_an_account_that_was_guessed_at_from_everywhere_opens_the_next_day(
    sales, few, clock
):
    secret = set_up_app(sales.user)
    guess_from_everywhere(4)

    clock.goes_on(seconds=24 * 3600)
    client, _ = owner(code_now(secret))

    assert is_in(client)


def test_the_owner_gets_one_mail_about_it(sales, few):
    set_up_app(sales.user)
    guess_from_everywhere(4)

    [message] = [
        each for each in mail.outbox if each.subject == "Someone may know your password"
    ]
    assert message.to == ["sales@example.com"]
    assert "Passkeys still work." in message.body


def test_whoever_guesses_after_a_provider_s_word_shuts_nobody_with_a_password_out(
    provider, server, sales, few
):
    secret = set_up_app(sales.user)
    for number in range(4):
        client = Client(REMOTE_ADDR=f"203.0.113.{number}")
        come_in(client, provider, server)
        for _ in range(5):
            page = client.post("/login/code/", {"code": "000000"})

    by_password, _ = owner(code_now(secret))

    assert "Sign in with your password instead" in page.content.decode()
    assert is_in(by_password)


def test_neither_wrong_codes_nor_wrong_passkeys_lock_a_passkey(sales):
    setting_up, device = browser(), Device()
    sign_in(setting_up)
    setting_up.post("/account/confirm/", {"password": PASSWORD})
    add(setting_up, device)
    client = browser()
    sign_in(client)

    for _ in range(6):
        client.post("/login/code/", {"code": "00000000"})
    for _ in range(20):
        page = client.post(
            "/login/code/",
            {
                "credential": Device().get(
                    client.get("/login/code/").context["passkey_options"]
                )
            },
        )
    assert page.status_code == 200
    assert not is_in(client)
    client.post(
        "/login/code/",
        {
            "credential": device.get(
                client.get("/login/code/").context["passkey_options"]
            )
        },
    )

    assert is_in(client)


def test_a_code_that_is_asked_for_again_counts_with_the_others(sales):
    secret = set_up_app(sales.user)
    client, _ = owner(code_now(secret), ATTACKER)

    for _ in range(5):
        client.post("/account/confirm/code/", {"code": "000000"}, REMOTE_ADDR=ATTACKER)

    assert HERE in guess(1)[0]
