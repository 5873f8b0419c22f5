"""S14: what a password must be, and the link that replaces a forgotten one."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils.http import int_to_base36

from crm.models import User
from tests.conftest import PASSWORD
from tests.crm.accounts.conftest import is_in, link, set_up_app, sign_in

pytestmark = pytest.mark.django_db

NEW = "a brand new one, long enough"


def ask(client=None, email="sales@example.com", **headers):
    return (client or Client()).post(
        "/password/reset/", {"email": email}, headers=headers
    )


def choose(client, path, password=NEW):
    """Follow the link, and post the form that it leads to."""
    form_at = client.get(path).url
    return client.post(form_at, {"password1": password, "password2": password})


def test_the_link_in_the_mail_sets_a_new_password(sales):
    ask()
    client = Client()

    response = choose(client, link())
    sign_in(client, password=NEW)

    assert response.url == "/password/reset/done/"
    assert is_in(client)


def test_it_works_once(sales):
    ask()
    path = link()
    choose(Client(), path)

    page = Client().get(path)

    assert "This link no longer works" in page.content.decode()
    assert User.objects.get().check_password(NEW)


def test_it_works_for_an_hour(sales, monkeypatch, settings):
    ask()
    settings.PASSWORD_RESET_TIMEOUT, hour = -1, settings.PASSWORD_RESET_TIMEOUT

    page = Client().get(link())

    assert hour == 3600
    assert "This link no longer works" in page.content.decode()


def test_it_is_built_from_the_configured_host_alone(sales, settings):
    """S18: whatever the request says its host is."""
    settings.ALLOWED_HOSTS = ["crm.example.com", "other.example.com"]

    ask(
        host="other.example.com",
        **{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
    )

    assert mail.outbox[0].body.count("https://crm.example.com/password/reset/") == 1
    assert "other.example.com" not in mail.outbox[0].body
    assert "evil" not in mail.outbox[0].body


def test_a_reset_ends_all_sessions(client_as, sales):
    elsewhere = client_as(sales)
    assert is_in(elsewhere)
    ask()

    choose(Client(), link())

    assert not is_in(elsewhere)


def test_a_change_ends_all_other_sessions(client_as, sales):
    here, elsewhere = client_as(sales), client_as(sales)

    here.post(
        "/account/password/",
        {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW},
    )

    assert is_in(here)
    assert not is_in(elsewhere)
    assert mail.outbox[0].subject == "Your password was changed"


def test_a_change_needs_the_present_password(client_as, sales):
    page = client_as(sales).post(
        "/account/password/", {"oldpassword": "no", "password1": NEW, "password2": NEW}
    )

    assert "Incorrect password." in page.content.decode()
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (
            "elevensigns",
            "This password is too short. It must contain at least 12 characters.",
        ),
        ("qwerty123456", "This password is too common."),
        ("314159265358", "This password is entirely numeric."),
        ("sales@example.com", "The password is too similar to the"),
    ],
)
def test_short_common_and_telling_passwords_are_refused(sales, password, message):
    ask()

    page = choose(Client(), link(), password)

    assert message in page.content.decode()
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    "password",
    ["LeadMachine2026!", "northwind-bv-42", "Linkedin!!1234", "Welcome Northwind 1"],
)
def test_names_that_anyone_would_try_are_refused(sales, password):
    ask()

    page = choose(Client(), link(), password)

    assert (
        "This password is made of names that anyone would try." in page.content.decode()
    )
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    "password", ["northwind by the oboe", "machine-made gingerbread"]
)
def test_such_a_name_among_other_words_does_no_harm(sales, password):
    ask()

    choose(Client(), link(), password)

    assert User.objects.get().check_password(password)


@pytest.mark.parametrize("length", [12, 64, 128, 1000])
def test_long_passwords_are_taken_and_not_cut(sales, length):
    password = ("pässwörd with blanks " * 50)[:length]
    ask()
    choose(Client(), link(), password)
    cut, whole = Client(), Client()

    sign_in(cut, password=password[:-1])
    sign_in(whole, password=password)

    assert not is_in(cut)
    assert is_in(whole)


def test_the_page_does_not_tell_who_has_an_account_and_no_stranger_gets_a_mail(sales):
    known, unknown = ask(), ask(email="nobody@example.com")

    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert [(message.subject, message.to) for message in mail.outbox] == [
        ("Reset your password", ["sales@example.com"])
    ]


def test_five_mails_a_minute_are_the_most_for_an_address(sales):
    codes = [ask().status_code for _ in range(6)]

    assert codes == [302] * 5 + [429]
    assert len(mail.outbox) == 5


def test_a_reset_shows_that_the_address_is_theirs(sales):
    EmailAddress.objects.create(
        user=sales.user, email="sales@example.com", primary=True, verified=False
    )
    ask()

    choose(Client(), link())

    assert EmailAddress.objects.get().verified


def test_after_a_reset_the_second_factor_is_asked_for_all_the_same(sales):
    set_up_app(sales.user)
    ask()
    client = Client()
    choose(client, link())

    response = sign_in(client, password=NEW)

    assert response.url == "/login/code/"
    assert not is_in(client)


def test_no_link_goes_to_an_address_that_was_replaced(sales):
    sign_in(Client())  # the address is on record as confirmed now
    sales.user.email = "new@example.com"
    sales.user.save()

    ask(email="sales@example.com")
    ask(email="new@example.com")

    assert [(message.subject, message.to) for message in mail.outbox] == [
        ("Reset your password", ["new@example.com"])
    ]


def test_somebody_who_was_switched_off_gets_no_link(sales):
    User.objects.update(is_active=False)

    ask()

    assert mail.outbox == []


def test_a_stranger_can_make_nobody_confirm_the_address_that_the_operator_has_entered(
    sales,
):
    ask()
    Client().get(link())
    Client().get(f"/password/reset/{int_to_base36(sales.user.pk)}-x-y/")
    written = EmailAddress.objects.count()

    sign_in(client := Client())

    assert written == 0
    assert is_in(client)


def test_a_link_ends_when_another_address_is_entered(sales):
    ask()
    EmailAddress.objects.create(user=sales.user, email="new@example.com")

    page = Client().get(link())

    assert "This link no longer works" in page.content.decode()
