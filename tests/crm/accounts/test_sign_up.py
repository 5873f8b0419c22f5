"""Signing up: a company and its first admin in one form, and no one gets in before the address is confirmed."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db.models.functions import Now
from django.test import Client

from crm.accounts import mails
from crm.models import AccountMail, Company, LeadStatus, Membership, User
from tests.conftest import PASSWORD
from tests.crm.accounts.conftest import is_in, link, sign_in

pytestmark = pytest.mark.django_db

FORM = {
    "company": "Northwind BV",
    "currency": "CHF",
    "time_zone": "Europe/Zurich",
    "first_name": "Ada",
    "last_name": "Byron",
    "email": "Ada@Example.com",
    "password1": PASSWORD,
}


def sign_up(client, **changes):
    return client.post("/signup/", {**FORM, **changes})


def test_it_makes_a_company_with_its_first_admin(db):
    response = sign_up(Client())

    member = Membership.objects.get()
    assert response.url == "/confirm-email/"
    assert (member.company.name, member.company.slug, member.role) == (
        "Northwind BV",
        "northwind-bv",
        "admin",
    )
    assert (member.user.email, member.user.username, str(member.user)) == (
        "ada@example.com",
        "ada@example.com",
        "Ada Byron",
    )
    assert LeadStatus.objects.for_company(member.company).count() == 4
    assert (member.company.currency, member.company.time_zone) == (
        "CHF",
        "Europe/Zurich",
    )


@pytest.mark.parametrize(
    ("languages", "currency"),
    [
        ("de-CH,de;q=0.9", "CHF"),
        ("en-GB", "GBP"),
        ("nl-NL,en-US;q=0.8", "EUR"),
        ("en", "EUR"),
        ("", "EUR"),
    ],
)
def test_the_currency_is_guessed_from_the_browser_s_languages(db, languages, currency):
    form = (
        Client(headers={"Accept-Language": languages}).get("/signup/").context["form"]
    )

    assert form["currency"].value() == currency


# Two of them have more in common than a username holds.
LONG = f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{{}}"


@pytest.mark.parametrize("end", ["nl", "de"])
def test_addresses_that_begin_alike_are_two_peoples(db, end):
    User.objects.create_user(LONG.format("nl")[:150], LONG.format("uk"), PASSWORD)
    client = Client()

    sign_up(client, email=LONG.format(end))
    client.post(link())

    assert (
        User.objects.filter(email__in=[LONG.format(end), LONG.format("uk")]).count()
        == 2
    )
    assert is_in(client)


def test_an_address_that_is_the_username_of_another_can_be_used(db, sales):
    """The operator's admin can set any username, and can change an address without the username."""
    User.objects.filter(pk=sales.user.pk).update(username="ada@example.com")

    response = sign_up(Client())

    assert response.url == "/confirm-email/"
    assert User.objects.get(email="ada@example.com").username != "ada@example.com"


def test_nobody_is_in_before_the_address_is_confirmed(db):
    client = Client()
    sign_up(client)

    response = sign_in(client, "ada@example.com")

    assert response.url == "/confirm-email/"
    assert not is_in(client)


def test_each_field_says_what_it_is(db):
    form = Client().get("/signup/").context["form"]

    assert [field.label for field in form] == [
        "Company",
        "Currency",
        "Time zone",
        "First name",
        "Last name",
        "E-mail address",
        "Password",
    ]


def test_only_a_development_machine_says_that_its_mails_are_printed(settings):
    production = Client().get("/confirm-email/").content.decode()
    settings.DEBUG, settings.EMAIL_BACKEND = (
        True,
        "django.core.mail.backends.console.EmailBackend",
    )
    development = Client().get("/confirm-email/").content.decode()

    assert "Check your inbox" in production
    assert "the e-mail is printed in the terminal" not in production
    assert (
        "the e-mail is printed in the terminal where <code>make run</code> is running"
        in development
    )


def test_the_link_in_the_mail_lets_one_in_after_a_question(db):
    client = Client()
    sign_up(client)
    path = link()

    page = client.get(path).content.decode()
    assert "Is <strong>ada@example.com</strong> your address?" in page
    assert not EmailAddress.objects.get().verified
    client.post(path)

    assert EmailAddress.objects.get().verified
    assert is_in(client)


def test_in_another_browser_the_link_confirms_and_lets_nobody_in(db):
    sign_up(Client())
    other = Client()

    response = other.post(link())

    assert response.url == "/login/"
    assert EmailAddress.objects.get().verified
    assert not is_in(other)


@pytest.mark.parametrize("key", ["nonsense", "MQ:1aBcDe:forged-signature"])
def test_a_forged_link_confirms_nothing(key):
    sign_up(Client())

    page = Client().get(f"/confirm-email/{key}/").content.decode()

    assert "This link no longer works" in page
    assert Client().post(f"/confirm-email/{key}/").status_code == 404
    assert not EmailAddress.objects.get().verified


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"company": " "}, "This field is required."),
        ({"company": "N" * 121}, "Ensure this value has at most 120 characters"),
        ({"email": "nonsense"}, "Enter an e-mail address such as ada@example.com."),
        (
            {"password1": "short"},
            "This password is too short. It must contain at least 12 characters.",
        ),
        ({"first_name": "a\x00"}, "Null characters are not allowed."),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_made(changes, message):
    response = sign_up(Client(), **changes)

    assert message in response.content.decode()
    assert not Company.objects.exists()
    assert not User.objects.exists()


def test_an_address_that_has_an_account_gets_a_mail_and_the_page_does_not_tell(sales):
    taken = sign_up(Client(), email="sales@example.com")
    taken_mail = mail.outbox.pop()
    free = sign_up(Client())

    assert taken.url == free.url
    assert taken_mail.to == ["sales@example.com"]
    assert taken_mail.subject == "You already have an account"
    assert "https://crm.example.com/login/" in taken_mail.body
    assert Company.objects.filter(name="Northwind BV", slug="northwind-bv").count() == 1
    assert User.objects.filter(email="sales@example.com").count() == 1


def test_two_companies_may_have_the_same_name(db):
    sign_up(Client())
    sign_up(Client(), email="grace@example.com")

    slugs = [company.slug for company in Company.objects.order_by("pk")]
    assert slugs[0] == "northwind-bv"
    assert slugs[1].startswith("northwind-bv-")


def test_it_can_be_switched_off(settings):
    settings.SIGNUP = False

    page, posted = Client().get("/signup/"), sign_up(Client())

    assert "Sign-up is by invitation only" in page.content.decode()
    assert "Sign-up is by invitation only" in posted.content.decode()
    assert "/signup/" not in Client().get("/login/").content.decode()
    assert not User.objects.exists()


def test_nothing_else_can_be_set_in_the_form(db):
    """S10: whatever else is posted changes nothing."""
    sign_up(
        Client(),
        is_staff="on",
        is_superuser="on",
        role="ops",
        username="root",
        slug="taken",
        is_active="",
    )

    member = Membership.objects.get()
    assert (member.role, member.user.is_staff, member.user.is_superuser) == (
        "admin",
        False,
        False,
    )
    assert (member.user.username, member.company.slug) == (
        "ada@example.com",
        "northwind-bv",
    )
    assert member.company.is_active


def test_a_mail_server_that_is_away_gets_the_mail_later_and_leaves_no_address_in_the_log(
    db, settings, caplog
):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend",
        "127.0.0.1",
        9,
    )

    answer = sign_up(Client())
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    AccountMail.objects.update(due_at=Now())
    mails.send_due()

    assert answer.url == "/confirm-email/"
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]
    assert "could not be sent: ConnectionRefusedError" in caplog.text
    assert "example.com" not in caplog.text.lower()
