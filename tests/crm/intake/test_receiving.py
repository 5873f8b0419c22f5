"""The address of a source: what it accepts is stored, and what it can't store it refuses."""

import pytest
from django.db import connection
from django.test import Client

from crm.models import Lead, Payload
from crm.services.intake_sources import delete_source
from crm.views import intake
from crm.views.errors import OUTAGES
from tests.crm.intake.conftest import Sender
from tests.test_walk_without_database import STATES

pytestmark = pytest.mark.django_db

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
FORM = "application/x-www-form-urlencoded"


def test_what_is_accepted_is_stored_as_it_came(sender):
    answer = sender.send(b'{"email":  "ada@example.com"}')

    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert answer["Referrer-Policy"] == "no-referrer"
    payload = Payload.objects.get()
    assert bytes(payload.body) == b'{"email":  "ada@example.com"}'
    assert (payload.source, payload.ended_at) == (sender.source, None)
    assert not Lead.objects.exists()


def test_a_browser_gets_a_page(sender):
    answer = sender.send("email=ada@example.com", FORM, Accept="text/html,*/*")

    assert answer.status_code == 202
    page = answer.content.decode()
    assert "Thank you" in page
    assert f"{sender.source.company.name}</bdi> has received" in page


def test_no_cookie_and_no_csrf_token_is_needed(sender):
    strict = Client(enforce_csrf_checks=True)

    answer = strict.post(sender.path, {"email": "ada@example.com"})

    assert answer.status_code == 202
    assert not answer.cookies


def test_an_unknown_address(sender):
    answer = Client().post("/in/nothing/")

    assert answer.status_code == 404
    assert answer.json() == {"detail": "There is no source with this address."}
    assert not Payload.objects.exists()


@pytest.mark.parametrize("off", ["source", "company"])
def test_what_is_switched_off(sender, off):
    row = sender.source if off == "source" else sender.source.company
    row.is_active = False
    row.save()

    assert sender.send(ADA).status_code == 410
    assert not Payload.objects.exists()


def test_a_long_body(sender):
    assert sender.send(b"x" * (256 * 1024)).status_code == 202
    answer = sender.send(b"x" * (256 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.json() == {"detail": "At most 256 kB can be sent here."}
    assert Payload.objects.count() == 1


def test_the_slash_at_the_end_may_be_missing(sender):
    sender.path = sender.path.rstrip("/")

    assert sender.send(ADA).status_code == 202
    assert Payload.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reason", STATES)
@pytest.mark.parametrize("debug", [False, True])
def test_without_the_database_it_says_when_to_send_again(
    sender, reason, debug, settings
):
    settings.DEBUG = debug
    sender.client.raise_request_exception = False
    connection.close()

    with STATES[reason]():
        answer = sender.send(ADA)

    assert (answer.status_code, answer["Retry-After"]) == (
        503,
        str(OUTAGES[reason].retry_after),
    )
    assert OUTAGES[reason].what in answer.json()["detail"]
    assert not Payload.objects.exists()


def test_too_many(sender, monkeypatch):
    monkeypatch.setattr(intake, "PER_MINUTE", 1)
    sender.send(ADA)

    answer = sender.send(ADA)

    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert Payload.objects.count() == 1


def test_too_many_of_one_company(sender, monkeypatch):
    monkeypatch.setattr(intake, "COMPANY_PER_MINUTE", 1)
    sender.send(ADA)

    assert Sender(sender.source.company).send(ADA).status_code == 429


def test_a_browser_goes_on_to_the_page_of_the_source(sender):
    sender.source.thanks_url = "https://example.com/thanks?a=1"
    sender.source.save()
    fields = "email=ada@example.com&next=https://evil.example/"

    answer = sender.send(fields, FORM, Accept="text/html,*/*")

    assert answer.status_code == 303
    assert answer["Location"] == "https://example.com/thanks?a=1"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert sender.send(ADA).status_code == 202
    assert Payload.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_source_that_is_deleted_in_that_moment(sender):
    def delete_first(execute, sql, params, many, context):
        if sql.startswith('INSERT INTO "crm_payload"'):
            delete_source(source=sender.source)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(delete_first):
        answer = sender.send(ADA)

    assert answer.status_code == 404
    assert not Payload.objects.exists()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_store_nothing(sender, method):
    answer = sender.client.generic(method, sender.path)

    assert answer.status_code == 405
    assert not Payload.objects.exists()


def test_odd_types_are_stored(sender):
    for kind in (
        "",
        "x" * 500,
        "application/json; charset=utf-7",
        "multipart/form-data",
    ):
        assert sender.send(b"\xff\0", kind).status_code == 202
