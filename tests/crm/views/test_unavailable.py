"""What people and scripts read while the database is unavailable, also outside of views: and it is true."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
from django.conf import settings as product
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from crm.accounts.middleware import SEEN
from crm.models import ApiKey, Lead, LeadStatus
from crm.services.calendar_feeds import renew_feed
from crm.views.errors import MAY_BE_SAVED, NOTHING_SAVED, OUTAGES
from postgresql.availability import Unavailable
from tests.conftest import PASSWORD, client_of, make_lead
from tests.crm.api.calling import caller
from tests.postgresql.test_saving import end_connection

pytestmark = pytest.mark.django_db(transaction=True)

NO_SPACE = "53100"


@contextmanager
def failing(part: str, code: str = NO_SPACE) -> Iterator[None]:
    """Let the server refuse statements that contain this."""

    def refuse(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if part in sql:
            return execute(
                f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$",
                None,
                False,
                context,
            )
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


@contextmanager
def unreachable() -> Iterator[None]:
    usual = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {**usual, "host": "/nowhere"}
    try:
        yield
    finally:
        connection.settings_dict["OPTIONS"] = usual


@pytest.fixture
def member(sales) -> Client:
    return quiet(client_of(sales.user))


def quiet(client: Any) -> Any:
    """Answers as a server would, instead of raising what has gone wrong."""
    client.raise_request_exception = False
    return client


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def assert_outage(answer: Any, reason: Unavailable, *words: str) -> None:
    assert answer.status_code == 503
    assert answer["Retry-After"] == str(OUTAGES[reason].retry_after)
    for word in (OUTAGES[reason].what, OUTAGES[reason].what_to_do, *words):
        assert word in text_of(answer)


ACCOUNT = {
    "company": "New", "currency": "EUR", "time_zone": "UTC", "first_name": "New", "last_name": "Person",
    "email": "new@example.com", "password1": PASSWORD,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/login/", {"username": "sales@example.com", "password": PASSWORD}),
        ("/signup/", ACCOUNT),
        ("/password/reset/", {"email": "sales@example.com"}),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_signing_in_and_up_and_a_new_password(sales, path, form, debug, settings):
    settings.SIGNUP, settings.DEBUG = True, debug

    with unreachable():
        answer = quiet(Client()).post(path, form)

    assert_outage(answer, Unavailable.UNREACHABLE, NOTHING_SAVED)
    assert "Traceback" not in text_of(answer)


def test_a_calendar(sales):
    feed = f"/calendar/{renew_feed(membership=sales)}.ics"

    with unreachable():
        assert_outage(quiet(Client()).get(feed), Unavailable.UNREACHABLE)


@pytest.mark.parametrize("path", ["/nothing/", "/leads/999999/"])
def test_a_page_about_another_error(member, path):
    with unreachable():
        assert_outage(member.get(path), Unavailable.UNREACHABLE)


def test_a_part_of_a_page_says_it_in_a_message(member):
    with unreachable():
        answer = member.get("/leads/", headers={"HX-Request": "true"})

    assert_outage(answer, Unavailable.UNREACHABLE)
    assert f"<span data-toast>{OUTAGES[Unavailable.UNREACHABLE].what[:10]}" in text_of(
        answer
    )


def test_a_session_that_can_not_be_saved_after_a_change_says_that_it_may_be_saved(
    member, company
):
    lead = make_lead(company)
    seen_long_ago(member)

    with failing('UPDATE "django_session"'):
        answers = [
            member.post(f"/leads/{lead.pk}/status/", {"status": status.pk})
            for status in (lead.status, other(lead))
        ]

    # It had this status before.
    assert_outage(answers[0], Unavailable.NO_SPACE, NOTHING_SAVED)
    assert_outage(answers[1], Unavailable.NO_SPACE, MAY_BE_SAVED)
    assert Lead.objects.get().status == other(lead)


def test_a_change_that_the_database_refuses_says_that_nothing_was_saved(
    member, company
):
    lead = make_lead(company)

    with failing("INSERT INTO crm_change"):
        answer = member.post(f"/leads/{lead.pk}/status/", {"status": other(lead).pk})

    assert_outage(answer, Unavailable.NO_SPACE, NOTHING_SAVED)
    assert Lead.objects.get().status == lead.status


def test_the_last_use_of_a_key_is_no_change_of_the_script(company):
    client = quiet(caller(company))
    ApiKey.objects.update(last_used_at=None)

    with failing('INSERT INTO "crm_lead"'):
        answer = client.post("/api/v1/leads/", {"first_name": "Ada"})

    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    outage = OUTAGES[Unavailable.NO_SPACE]
    assert answer.json() == {
        "detail": f"{outage.what} {NOTHING_SAVED} {outage.what_to_do}"
    }
    assert ApiKey.objects.get().last_used_at is not None


def test_an_export_that_fails_at_its_first_row_is_no_half_file(admin):
    client = quiet(client_of(admin.user))

    def end(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('SELECT "crm_auditentry"'):
            end_connection()
        return execute(sql, *rest)

    with connection.execute_wrapper(end):
        answer = client.post("/company/audit/export/")

    assert_outage(answer, Unavailable.UNREACHABLE)
    assert b"".join(client.post("/company/audit/export/")).startswith(b"at,")


def other(lead: Lead) -> LeadStatus:
    """A status that the lead, as it was read, does not have."""
    return (
        LeadStatus.objects.for_company(lead.company_id)
        .exclude(pk=lead.status_id)
        .earliest("pk")
    )


def test_a_session_that_has_ended_meanwhile_is_still_a_bad_request(member):
    seen_long_ago(member)

    def end(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('UPDATE "django_session"'):
            Session.objects.all().delete()
        return execute(sql, *rest)

    with connection.execute_wrapper(end):
        assert member.get("/leads/").status_code == 400


def seen_long_ago(client: Client) -> None:
    """Let the next request of this session write down that it was seen."""
    session = client.session
    session[SEEN] = int(time.time()) - 3_600
    session.save()
    assert Session.objects.get(pk=client.cookies[product.SESSION_COOKIE_NAME].value)
