"""The account page: name, dates, time zone, and the e-mail address, which changes once it is confirmed."""

import re
from datetime import UTC, datetime

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from crm.models import Lead, User
from tests.conftest import make_lead
from tests.crm.accounts.conftest import confirm_password, link, sign_in

pytestmark = pytest.mark.django_db

PROFILE = {
    "first_name": "Grace",
    "last_name": "Hopper",
    "date_style": "named",
    "time_zone": "",
}


def without_tokens(page):
    return re.sub(r"[a-z0-9]{64}", "", page)


@pytest.fixture
def client(sales):
    client = Client()
    sign_in(client)
    return client


def test_a_person_changes_their_own_name(client, sales):
    client.post("/account/", PROFILE)

    sales.user.refresh_from_db()
    assert str(sales.user) == "Grace Hopper"


def test_a_person_without_a_first_name_is_not_saved(client, sales):
    page = client.post("/account/", {**PROFILE, "first_name": ""})

    assert page.context["form"].errors.keys() == {"first_name"}
    assert User.objects.get(pk=sales.user_id).first_name == sales.user.first_name


@pytest.mark.parametrize(
    ("style", "zone", "shown"),
    [
        ("named", "", "15 Jan 2020, 23:30"),
        ("slashes", "", "15/01/2020, 23:30"),
        ("us", "Asia/Kolkata", "Jan 16, 2020, 5:00 AM"),
        ("iso", "Europe/Zurich", "2020-01-16, 00:30"),
    ],
)
def test_dates_are_shown_as_the_person_chose(client, company, style, zone, shown):
    company.time_zone = "UTC"
    company.save()
    lead = make_lead(company)
    Lead.objects.filter(pk=lead.pk).update(
        created_at=datetime(2020, 1, 15, 23, 30, tzinfo=UTC)
    )

    client.post("/account/", {**PROFILE, "date_style": style, "time_zone": zone})

    assert f">{shown}</time>" in client.get(lead.get_absolute_url()).content.decode()


def test_a_new_address_counts_once_it_is_confirmed(client, sales):
    confirm_password(client)
    client.post("/account/address/", {"action_add": "1", "email": "Grace@Example.com"})
    before = User.objects.get(pk=sales.user_id).email
    account = client.get("/account/").content.decode()

    client.post(link())

    user = User.objects.get(pk=sales.user_id)
    assert before == "sales@example.com"
    assert "grace@example.com" in account
    assert (user.email, user.username) == ("grace@example.com", "grace@example.com")
    assert [
        (each.email, each.verified) for each in EmailAddress.objects.filter(user=user)
    ] == [(user.email, True)]
    assert (mail.outbox[-1].subject, mail.outbox[-1].to) == (
        "Your e-mail address was changed",
        ["sales@example.com"],
    )
    assert sign_in(Client(), "grace@example.com").url == "/"


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_an_address_that_was_taken_before_it_was_confirmed_is_explained(
    client, sales, is_confirmed
):
    confirm_password(client)
    client.post("/account/address/", {"action_add": "1", "email": "grace@example.com"})
    other = User.objects.create(username="grace", email="grace@example.com")
    if is_confirmed:
        EmailAddress.objects.create(
            user=other, email="grace@example.com", verified=True, primary=True
        )
    sent = len(mail.outbox)

    page = client.post(link(), follow=True)

    assert [str(message) for message in page.context["messages"]] == [
        "grace@example.com can't be confirmed: another account uses it. Choose another address, or sign in to that one."
    ]
    user = User.objects.get(pk=sales.user_id)
    assert (user.email, len(mail.outbox)) == ("sales@example.com", sent)
    assert [each.email for each in EmailAddress.objects.filter(user=user)] == [
        "sales@example.com"
    ]
    assert "grace@example.com" not in client.get("/account/").content.decode()


def test_the_password_is_asked_for_before_the_new_address(client, clock):
    clock.goes_on(seconds=600)

    answer = client.get("/account/address/")

    assert answer.url.startswith("/account/confirm/?next=")


@pytest.mark.covers("S14")
def test_the_page_does_not_tell_that_somebody_else_has_the_address_and_they_get_a_mail(
    client, sales, admin
):
    confirm_password(client)
    pages = []
    for email in ("free1@example.com", admin.user.email.upper()):
        answer = client.post(
            "/account/address/", {"action_add": "1", "email": email}, follow=True
        )
        pages.append(
            answer.content.decode().lower().replace(email.lower(), "free1@example.com")
        )

    assert without_tokens(pages[0]) == without_tokens(pages[1])
    assert [(message.subject, message.to[0]) for message in mail.outbox] == [
        ("Confirm your e-mail address", "free1@example.com"),
        ("You already have an account", "admin@example.com"),
    ]
    assert User.objects.get(pk=sales.user_id).email == "sales@example.com"


def test_a_new_address_waits_while_the_name_is_saved(client, sales):
    confirm_password(client)
    client.post("/account/address/", {"action_add": "1", "email": "grace@example.com"})

    client.post("/account/", PROFILE)
    client.post(link())

    assert User.objects.get(pk=sales.user_id).email == "grace@example.com"


def test_the_operator_s_change_ends_a_change_that_waits(client, sales):
    confirm_password(client)
    client.post("/account/address/", {"action_add": "1", "email": "grace@example.com"})
    sales.user.email = "new@example.com"
    sales.user.save()

    assert client.post(link()).status_code == 404

    assert not EmailAddress.objects.filter(user=sales.user).exists()
