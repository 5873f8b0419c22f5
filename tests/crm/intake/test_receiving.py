"""The address of a source: what it accepts is stored, and what it can't store it refuses."""

import pytest
from django.test import Client

from crm.models import Lead, Payload
from crm.views import intake

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
    assert "Thank you" in answer.content.decode()


def test_no_cookie_and_no_csrf_token_is_needed(sender):
    strict = Client(enforce_csrf_checks=True)

    answer = strict.post(sender.path, {"email": "ada@example.com"})

    assert answer.status_code == 202
    assert not answer.cookies


def test_an_unknown_address(sender):
    assert Client().post("/in/nothing/").status_code == 404
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
    assert sender.send(b"x" * (256 * 1024 + 1)).status_code == 413
    assert Payload.objects.count() == 1


def test_too_many(sender, monkeypatch):
    monkeypatch.setattr(intake, "PER_MINUTE", 1)
    sender.send(ADA)

    answer = sender.send(ADA)

    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert Payload.objects.count() == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_store_nothing(sender, method):
    answer = sender.client.generic(method, sender.path)

    assert answer.status_code in (302, 405)
    assert not Payload.objects.exists()


def test_odd_types_are_stored(sender):
    for kind in (
        "",
        "x" * 500,
        "application/json; charset=utf-7",
        "multipart/form-data",
    ):
        assert sender.send(b"\xff\0", kind).status_code == 202
