"""The pages of sources."""

import re

import pytest
from django.test import Client

from crm.models import AuditEntry, IntakeSource, Payload
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
