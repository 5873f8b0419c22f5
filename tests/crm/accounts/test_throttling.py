"""S13: guessing passwords is slow, and no one can lock others out by it."""

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

from crm.accounts import client_addresses
from tests.conftest import PASSWORD
from tests.crm.accounts.conftest import is_in, set_up_app, sign_in
from tests.size import sized

pytestmark = pytest.mark.django_db

LOCKED = "Too many failed attempts. Wait 15 minutes, then try again."
MISMATCH = "Incorrect e-mail address or password."
ATTACKER, HOME = "203.0.113.9", "198.51.100.7"


def fail(times, email="sales@example.com", address=ATTACKER):
    return [
        sign_in(Client(), email, f"wrong guess {at}", address).content.decode()
        for at in range(times)
    ]


def test_five_failures_lock_the_name_at_that_address(sales):
    pages = fail(6)

    assert all(MISMATCH in page for page in pages[:5])
    assert LOCKED in pages[5]


def test_the_right_password_gets_the_same_page_while_it_is_locked(sales):
    fail(5)
    client = Client()

    wrong, right = (
        sign_in(Client(), password="wrong", address=ATTACKER),
        sign_in(client, address=ATTACKER),
    )

    assert LOCKED in right.content.decode()
    assert without_token(right) == without_token(wrong)
    assert not is_in(client)


def without_token(response):
    token = response.context["csrf_token"]
    return response.content.decode().replace(str(token), "")


def test_an_attacker_elsewhere_does_not_lock_out_the_user(sales):
    fail(20)
    client = Client()

    sign_in(client, address=HOME)

    assert is_in(client)


def test_the_lock_ends_after_15_minutes(sales, clock):
    fail(5)
    client = Client()

    clock.goes_on(seconds=15 * 60 + 1)
    sign_in(client, address=ATTACKER)

    assert is_in(client)


def test_signing_in_does_not_wipe_out_failures(sales):
    fail(4)
    sign_in(Client(), address=ATTACKER)

    assert LOCKED in fail(2)[1]


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP"],
)
def test_a_forged_address_gains_nothing(sales, header):
    for at in range(5):
        sign_in(
            Client(), password="wrong", address=ATTACKER, **{header: f"192.0.2.{at}"}
        )

    page = sign_in(Client(), address=ATTACKER, **{header: HOME})

    assert LOCKED in page.content.decode()


def test_addresses_that_a_trusted_proxy_tells_are_counted_one_by_one(sales, settings):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    for _ in range(5):
        sign_in(
            Client(),
            password="wrong",
            address="10.0.0.5",
            **{"X-Forwarded-For": f"{HOME}, {ATTACKER}"},
        )
    client = Client()

    locked = sign_in(
        Client(),
        address="10.0.0.5",
        **{"X-Forwarded-For": f"192.0.2.1, {ATTACKER}, 10.1.1.1"},
    )
    sign_in(client, address="10.0.0.5", **{"X-Forwarded-For": HOME})

    assert LOCKED in locked.content.decode()
    assert is_in(client)


def test_a_whole_network_of_ipv6_addresses_counts_as_one(sales):
    for at in range(5):
        sign_in(Client(), password="wrong", address=f"2001:db8:1:2::{at}")

    assert LOCKED in sign_in(Client(), address="2001:db8:1:2:ffff::1").content.decode()


def test_known_and_unknown_names_are_locked_alike(sales):
    known = fail(6, "sales@example.com", "203.0.113.1")
    unknown = fail(6, "nobody@example.com", "203.0.113.2")

    assert (
        [LOCKED in page for page in known]
        == [LOCKED in page for page in unknown]
        == [False] * 5 + [True]
    )


def test_30_tries_a_minute_are_the_most_from_one_address(sales):
    codes = [
        sign_in(Client(), f"person{at}@example.com", "wrong", ATTACKER).status_code
        for at in range(31)
    ]

    assert codes == [200] * 30 + [429]
    assert sign_in(Client(), address=HOME).status_code == 302


@pytest.mark.sized
def test_of_1000_guesses_none_gets_in_and_the_user_does(sales):
    """The right password is among the 20 guesses of each address, after the lock."""
    let_in = 0
    for at in range(sized(1000, small=100)):
        client = Client()
        guess = PASSWORD if at % 20 >= 5 else f"guess {at}"
        sign_in(client, password=guess, address=f"203.0.113.{at // 20}")
        let_in += "_auth_user_id" in client.session
    own = Client()

    sign_in(own, address=HOME)

    assert let_in == 0
    assert is_in(own)


def test_the_admins_sign_in_page_is_this_one(sales):
    response = Client().get("/admin/login/?next=/admin/crm/lead/")
    posted = Client().post(
        "/admin/login/", {"username": "sales@example.com", "password": PASSWORD}
    )

    assert response.url == "/login/?next=/admin/crm/lead/"
    assert posted.url == "/login/?next=/admin/"


def test_guesses_at_the_password_asked_for_again_count_too_and_end_the_session(
    client_as, sales
):
    client = client_as(sales)
    for _ in range(5):
        client.post("/account/confirm/", {"password": "wrong"}, REMOTE_ADDR=ATTACKER)

    page = client.post(
        "/account/confirm/", {"password": PASSWORD}, REMOTE_ADDR=ATTACKER
    )

    assert page.url == "/login/"
    assert not is_in(client)
    assert LOCKED in fail(1)[0]


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:cb00:7109", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_has_one_name(sales, named, address):
    sign_in(Client(), address=named)

    assert UserSession.objects.get().ip == address


def test_visitors_whose_addresses_are_written_within_ipv6_are_not_one(sales):
    """Limits go by the first 64 bits of an IPv6 address, which all addresses like ::ffff:203.0.113.1 share."""
    fail(5, "sales@example.com", "::ffff:203.0.113.1")

    assert LOCKED in sign_in(Client(), address="203.0.113.1").content.decode()
    assert sign_in(Client(), address="::ffff:203.0.113.2").status_code == 302


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "::ffff:10.0.0.0/104"])
@pytest.mark.parametrize("proxy", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_a_proxy_is_trusted_under_both_of_its_names(sales, settings, trusted, proxy):
    settings.TRUSTED_PROXIES = [trusted]

    sign_in(Client(), address=proxy, **{"X-Forwarded-For": "203.0.113.9"})

    assert UserSession.objects.get().ip == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "trusted", "reported"),
    [
        ("10.1.2.3", [], 1),
        ("10.1.2.3", ["127.0.0.1"], 1),
        ("10.1.2.3", ["10.0.0.0/8"], 0),
        ("8.8.8.8", [], 0),
    ],
    ids=["no proxy is named", "another is", "it is", "a visitor who pretends"],
)
def test_a_proxy_that_is_not_named_is_reported_once(
    sales, settings, caplog, peer, trusted, reported
):
    settings.TRUSTED_PROXIES = trusted
    client_addresses._report_unnamed_proxy.cache_clear()

    for _ in range(2):
        sign_in(Client(), address=peer, **{"X-Forwarded-For": "203.0.113.9"})

    assert caplog.text.count(f"{peer} passes on requests for others") == reported


GUESSES = {
    "/account/confirm/": {"password": "wrong"},
    "/account/confirm/code/": {"code": "000000"},
    "/account/password/": {"oldpassword": "wrong", "password1": "a good new password"},
}


@pytest.mark.parametrize("path", GUESSES)
def test_guessing_in_an_open_session_ends_it_and_no_other(sales, path, clock):
    client, other = Client(), Client()
    for each in (client, other):
        sign_in(each)
    set_up_app(sales.user)

    for _ in range(5):
        clock.goes_on(seconds=16)  # slowly enough for the limit per minute
        client.post(path, GUESSES[path])
    still_in = is_in(client)
    page = client.post(path, GUESSES[path], follow=True)

    assert still_in
    assert "Too many failed attempts. You were signed out." in page.content.decode()
    assert not is_in(client)
    assert is_in(other)
