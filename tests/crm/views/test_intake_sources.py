"""The pages of sources."""

import re

import pytest
from django.test import Client

from crm.models import AuditEntry, IntakeSource, Lead, Payload
from tests.crm.intake.conftest import Sender

pytestmark = pytest.mark.django_db

LIST = "/company/sources/"


def address_in(answer):
    return re.search(r"/in/[\w-]+/", answer.content.decode())


def test_an_address_is_shown_once(client_as, admin):
    client = client_as(admin)
    answer = client.post(LIST, {"name": "Contact form", "is_active": "on"})
    shown = address_in(answer)
    assert shown

    source = IntakeSource.objects.get()
    assert Client().post(shown[0], {"a": "b"}).status_code == 202
    assert address_in(client.get(f"{LIST}{source.pk}/")) is None
    entry = AuditEntry.objects.get(action="source_added")
    assert entry.object_id == source.pk


def test_a_new_address_ends_the_old_one(client_as, admin, company):
    sender = Sender(company)

    new = address_in(client_as(admin).post(f"{LIST}{sender.source.pk}/address/"))

    assert new
    assert sender.send({}).status_code == 404
    assert Client().post(new[0], {"a": "b"}).status_code == 202


def test_it_can_be_switched_off(client_as, admin, company):
    sender = Sender(company)

    client_as(admin).post(f"{LIST}{sender.source.pk}/", {"name": "Form"})

    assert sender.send({}).status_code == 410
    entry = AuditEntry.objects.filter(action="source_changed").get()
    assert entry.details == {"fields": ["name", "is_active"]}


def test_it_shows_what_came_without_what_it_said(client_as, admin, company):
    sender = Sender(company)
    sender.sent({"email": "ada@example.com"})

    page = client_as(admin).get(f"{LIST}{sender.source.pk}/").content.decode()

    assert "Lead added" in page
    assert f"Lead {Payload.objects.get().made_id}" in page
    assert "ada@example.com" not in page


def test_it_is_deleted_after_a_question(client_as, admin, company):
    sender = Sender(company)
    sender.sent({"email": "ada@example.com"})
    sender.send({"email": "grace@example.com"})
    client, path = client_as(admin), f"{LIST}{sender.source.pk}/delete/"

    page = client.get(path).content.decode()
    client.post(path)

    assert "(2). The leads stay." in page
    assert "1 has not become a lead yet" in page
    assert not IntakeSource.objects.exists()
    assert not Payload.objects.exists()
    assert Lead.objects.count() == 1
    assert sender.send({}).status_code == 404
    entry = AuditEntry.objects.get(action="source_deleted")
    assert entry.object_id == sender.source.pk


@pytest.mark.parametrize(
    ("url", "is_saved"),
    [
        ("https://example.com/thanks", True),
        ("javascript:alert(1)", False),
        ("//evil.example", False),
        ("ftp://example.com", False),
    ],
)
def test_the_page_after_sending_is_a_web_address(
    client_as, admin, company, url, is_saved
):
    sender = Sender(company)

    client_as(admin).post(
        f"{LIST}{sender.source.pk}/", {"name": "Form", "thanks_url": url}
    )

    sender.source.refresh_from_db()
    assert (sender.source.thanks_url == url) is is_saved


def test_a_signing_secret_is_sealed_and_never_shown(client_as, admin, company):
    source = Sender(company).source
    client, path = client_as(admin), f"{LIST}{source.pk}/"
    fields = {"name": "Form", "signed_by": "tally", "is_active": "on"}

    refused = client.post(path, fields)
    saved = client.post(path, {**fields, "secret": "hush-hush"}, follow=True)
    kept = client.post(path, {**fields, "name": "Tally"})

    source.refresh_from_db()
    assert "Enter the secret of the sender." in refused.content.decode()
    assert "hush-hush" not in saved.content.decode()
    assert (kept.status_code, source.name, source.secret) == (302, "Tally", "hush-hush")
    client.post(path, {**fields, "signed_by": ""})
    source.refresh_from_db()
    assert (source.signed_by, source.sealed_secret) == ("", "")
