"""A statement that reaches its time limit: pages and the API say so, and nothing is half done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from crm.models import AuditEntry, Lead, LeadTag, Tag
from crm.views.errors import NOTHING_SAVED, OUTAGES
from postgresql.availability import Unavailable
from tests.conftest import make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db(transaction=True)

OUTAGE = OUTAGES[Unavailable.TOO_SLOW]
NOTHING = f"{OUTAGE.what} {NOTHING_SAVED} {OUTAGE.what_to_do}"
# Of each change below: everything else is written by then.
LAST_WRITE = 'INSERT INTO "crm_auditentry"'


@contextmanager
def slow(beginning: str) -> Iterator[None]:
    """Let PostgreSQL end statements with this beginning at their time limit."""

    def execute_slowly(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if not sql.startswith(beginning):
            return execute(sql, params, many, context)
        execute("SET statement_timeout = 20", None, False, context)
        try:
            return execute("SELECT pg_sleep(5)", None, False, context)
        finally:
            if not connection.in_atomic_block:  # its rollback takes the limit back
                execute("SET statement_timeout = 0", None, False, context)

    with connection.execute_wrapper(execute_slowly):
        yield


@pytest.fixture
def leads(company) -> list[Lead]:
    return [
        make_lead(company, first_name=name, organisation="Acme")
        for name in ("Ada", "Bob")
    ]


@pytest.fixture
def admins(client_as, admin) -> Client:
    client: Client = client_as(admin)
    client.raise_request_exception = False
    return client


def rename(client: Client, leads: list[Lead]) -> Any:
    answers = {"name": "Bach", "lead_count": "2", "joined_count": "0", "confirmed": "1"}
    return client.post(f"{leads[0].organisation_url}rename/", answers)


def erase(client: Client, leads: list[Lead]) -> Any:
    return client.post(f"/leads/{leads[0].pk}/erase/", {"name": leads[0].name})


def merge(client: Client, leads: list[Lead]) -> Any:
    keys = [lead.pk for lead in leads]
    page = client.get("/leads/merge/", {"lead": keys})
    answers = {
        "lead": keys,
        "kept": keys[0],
        "version": page.context["version"],
        "name": "kept",
    }
    return client.post("/leads/merge/", answers)


def tag(client: Client, leads: list[Lead]) -> Any:
    new, _ = Tag.objects.get_or_create(company=leads[0].company, name="Fair")
    keys = [lead.pk for lead in leads]
    return client.post(
        "/leads/tags/", {"lead": keys, "tag": new.pk, "tag_change": "add"}
    )


def delete(client: Client, leads: list[Lead]) -> Any:
    return client.post(f"/leads/{leads[0].pk}/delete/")


def as_they_are() -> tuple[Any, ...]:
    rows = Lead.objects.order_by("pk").values_list(
        "pk", "first_name", "organisation", "erased_at", "merged_into"
    )
    return *rows, LeadTag.objects.count(), AuditEntry.objects.count()


@pytest.mark.parametrize("change", [rename, erase, merge, tag, delete])
def test_a_page_says_what_to_do_and_nothing_is_half_done(admins, leads, change, caplog):
    before = as_they_are()

    with slow(LAST_WRITE):
        answer = change(admins, leads)

    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert NOTHING in answer.content.decode()
    assert as_they_are() == before
    (record,) = [each for each in caplog.records if each.name == "django.request"]
    assert record.exc_info
    assert change(admins, leads).status_code == 302


def test_a_list_that_takes_too_long_says_so_too(admins, leads):
    with slow('SELECT "crm_lead"'):
        answer = admins.get("/leads/")

    assert answer.status_code == 503
    assert f"{OUTAGE.what} {OUTAGE.what_to_do}" in answer.content.decode()


def test_the_api_answers_in_json(company, leads):
    client, path = caller(company), f"/api/v1/leads/{leads[0].pk}/"
    client.raise_request_exception = False
    before = as_they_are()

    with slow(LAST_WRITE):
        answer = client.delete(path)

    assert (answer.status_code, answer.json()) == (503, {"detail": NOTHING})
    assert as_they_are() == before
    assert client.delete(path).status_code == 204
