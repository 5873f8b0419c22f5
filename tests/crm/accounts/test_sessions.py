"""S16: sessions end after 8 hours without a request, after 7 days, at sign-out and remotely; and their cookies."""

import os
import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.test import Client

from crm.models import Lead, Membership, TypedForm, User
from tests.crm.accounts.conftest import is_in, sign_in

pytestmark = pytest.mark.django_db

HOUR, DAY = 3600, 24 * 3600


def signed_in(sales, **fields):
    client = Client(**fields)
    sign_in(client)
    return client


def test_a_session_ends_after_8_hours_of_silence(sales, clock):
    client = signed_in(sales)

    clock.goes_on(seconds=8 * HOUR - 60)
    assert is_in(client)
    clock.goes_on(seconds=8 * HOUR + 60)

    assert not is_in(client)


def test_a_session_in_use_ends_after_7_days(sales, clock):
    client = signed_in(sales)

    for _ in range(27):
        clock.goes_on(seconds=DAY // 4)
        assert is_in(client)
    clock.goes_on(seconds=DAY // 4 + 60)

    assert not is_in(client)


# By the worker that sends after each response here: tests/crm/accounts/conftest.py.
LOOK_FOR_MAIL = 1


def test_a_click_now_and_then_writes_nothing(sales, django_assert_num_queries, clock):
    client = signed_in(sales)
    is_in(client)

    with django_assert_num_queries(3 + LOOK_FOR_MAIL):  # session, user, membership
        client.get("/nowhere/")
    clock.goes_on(seconds=301)
    # And the session, in a transaction.
    with django_assert_num_queries(6 + LOOK_FOR_MAIL):
        client.get("/nowhere/")


def test_signing_in_changes_the_number_of_the_session(sales):
    client = Client()
    client.get("/login/")
    client.session["x"] = 1
    client.session.save()
    before = client.session.session_key

    sign_in(client)

    assert client.session.session_key != before


def test_a_session_is_dead_after_signing_out(sales):
    client = signed_in(sales)
    stolen = Client()
    stolen.cookies["sessionid"] = client.cookies["sessionid"].value
    assert is_in(stolen)

    client.post("/logout/")

    assert not is_in(stolen)


def test_one_can_sign_out_everywhere_else(sales):
    here, elsewhere = signed_in(sales), signed_in(sales)
    page = here.get("/account/sessions/").content.decode()

    here.post("/account/sessions/")

    assert page.count("198.51.100.7") == 2
    assert is_in(here)
    assert not is_in(elsewhere)


def test_nobody_ends_sessions_of_others(sales, admin):
    own, other = signed_in(sales), Client()
    sign_in(other, "admin@example.com")

    other.post("/account/sessions/")

    assert is_in(own)


def test_a_user_who_is_switched_off_is_out_at_once(sales):
    client = signed_in(sales)
    User.objects.update(is_active=False)

    assert not is_in(client)


def test_cookies_are_for_us_alone(sales):
    client = signed_in(sales)

    session = client.cookies["sessionid"]
    assert session["httponly"]
    assert session["samesite"] == "Lax"
    assert session["max-age"] == 7 * DAY


def test_in_production_they_travel_on_https_only_and_no_other_host_can_set_them():
    program = """
from leadmachine import settings as s
print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_NAME, s.CSRF_COOKIE_SECURE, s.CSRF_COOKIE_HTTPONLY)
"""
    environment = {
        "PATH": os.environ["PATH"],
        "ALLOWED_HOSTS": "crm.example.com",
        "SECRET_KEY": "s" * 60,
    }

    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == "__Host-sessionid True __Host-csrftoken True True\n"


TYPED = {
    "first_name": "Grace",
    "email": "grace@example.com",
    "token": "secret-1",
    "csrfmiddlewaretoken": "x",
}


def test_what_was_typed_when_the_session_ended_is_back_after_signing_in(sales, clock):
    client = signed_in(sales)
    clock.goes_on(seconds=8 * HOUR + 60)

    lost = client.post("/leads/new/", TYPED)
    sign_in(client)
    page, later = client.get("/leads/new/"), client.get("/leads/new/")

    assert lost.url == "/login/?next=/leads/new/"
    assert page.context["typed"] == {
        "action": "/leads/new/", "values": {"first_name": ["Grace"], "email": ["grace@example.com"]},
    }  # fmt: skip
    assert later.context["typed"] is None
    assert not Lead.objects.exists()


def test_what_was_typed_is_encrypted_and_for_nobody_else(sales, admin, clock):
    client = signed_in(sales)
    clock.goes_on(seconds=8 * HOUR + 60)

    client.post("/leads/new/", TYPED)
    kept = str(dict(client.session)) + str(TypedForm.objects.values())
    sign_in(client, admin.user.email)

    assert "Grace" not in kept
    assert client.get("/leads/new/").context["typed"] is None
    assert not TypedForm.objects.exists()


def test_nothing_is_kept_of_the_operators_pages_and_for_those_who_are_no_longer_members(
    sales, clock
):
    clients = [signed_in(sales), signed_in(sales)]
    clock.goes_on(seconds=8 * HOUR + 60)

    clients[0].post("/admin/crm/lead/add/", TYPED)
    Membership.objects.update(is_active=False)
    clients[1].post("/leads/new/", TYPED)

    assert not TypedForm.objects.exists()


def test_the_sign_in_page_says_that_a_form_is_kept_as_long_as_it_is(sales, clock):
    client = signed_in(sales)
    clock.goes_on(seconds=8 * HOUR + 60)
    client.post("/leads/new/", TYPED)

    pages = [client.get("/login/").text]
    TypedForm.objects.all().delete()
    pages.append(client.get("/login/").text)

    assert ["What you typed is kept" in page for page in pages] == [True, False]
