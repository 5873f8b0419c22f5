"""The whole company as a ZIP archive: for admins alone, with a password, and without secrets."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from zipfile import ZipFile

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from capi.models import ConversionEvent, ConversionRule
from crm.data_exchange.exporting import archive, list_rows
from crm.jobs import rounds
from crm.models import (
    AuditEntry,
    CustomField,
    DataExport,
    ExportPart,
    Lead,
    Membership,
    Note,
    Tag,
    Task,
)
from crm.models.tag import add_links
from crm.services.custom_fields import add_field, set_archived
from crm.services.deal_people import add_person
from crm.services.erasure import erase_lead
from tests.conftest import PASSWORD, TOKEN, make_deal, make_lead, make_task
from tests.crm.data_exchange.exporting.reading import content
from tests.crm.files import make_file

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = reverse("company_export")


@pytest.fixture
def client(client_as: Callable[[Membership], Client], admin: Membership) -> Client:
    """An admin who has just given their password."""
    signed_in = client_as(admin)
    signed_in.post(signed_in.get(PAGE).url, {"password": PASSWORD, "next": PAGE})  # type: ignore[attr-defined]
    return signed_in


def exported(client: Client) -> dict[str, list[dict[str, str]]]:
    """The rows of each file, by their columns."""
    client.post(PAGE)
    rounds.work_through(lambda: True)
    with ZipFile(io.BytesIO(content(client, DataExport.objects.get()))) as zipped:
        assert zipped.testzip() is None
        texts = {name: zipped.read(name).decode() for name in zipped.namelist()}
    readme = texts.pop("README.txt")
    assert json.loads(texts["manifest.json"])["format"] == "leadmachine-company"
    assert [name for name in texts if name not in readme] == []
    del texts["manifest.json"]
    return {
        name: list(csv.DictReader(io.StringIO(text, newline="")))
        for name, text in texts.items()
    }


def test_the_password_is_asked_for_first(client_as: Any, admin: Membership) -> None:
    signed_in = client_as(admin)

    assert signed_in.get(PAGE).url == f"/account/confirm/?next={PAGE}"
    assert signed_in.post(PAGE).url == f"/account/confirm/?next={PAGE}"
    assert not DataExport.objects.exists()


def test_sales_neither_make_it_nor_see_nor_download_it(
    client: Client, client_as: Any, sales: Membership
) -> None:
    client.post(PAGE)
    rounds.work_through(lambda: True)
    made = DataExport.objects.get()

    theirs = client_as(sales)

    assert theirs.post(PAGE).status_code == 403
    assert (
        theirs.get(reverse("data_export_download", args=[made.pk])).status_code == 404
    )
    assert theirs.get(reverse("data_exports")).context["exports"] == []


def test_an_admin_who_is_none_any_more_cannot_download_it(
    client: Client, admin: Membership
) -> None:
    client.post(PAGE)
    rounds.work_through(lambda: True)

    Membership.objects.filter(pk=admin.pk).update(role="sales")

    address = reverse("data_export_download", args=[DataExport.objects.get().pk])
    assert client.get(address).status_code == 404


def test_each_file_has_the_companys_rows_and_nobody_elses(
    client: Client,
    sales: Membership,
    other_company: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(list_rows, "CHUNK", 2)
    company = sales.company
    field = CustomField(company=company, subject="lead", name="Budget", type="number")
    add_field(field=field)
    set_archived(field=field, archived=True)
    ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="104012", name="Leads"
    )
    leads = [
        make_lead(company, first_name=f"P{number}", custom={field.key: "5"})
        for number in range(5)
    ]
    deal = make_deal(leads[0], title="=Licences")
    tag = Tag.objects.create(company=company, name="VIP")
    add_links(Lead, company.pk, [(leads[0].pk, tag)])
    make_task(sales, title="Call", deal=deal)
    Note.objects.create(
        company=company, lead=leads[0], deal=deal, actor=sales.user, text="Likes blue"
    )
    file = make_file(sales, deal, "=Offer.pdf")
    add_person(deal=deal, lead=leads[1])
    make_lead(other_company, first_name="Theirs")

    files = exported(client)

    assert list(files) == [file.name for file in archive.FILES]
    assert [row["First name"] for row in files["leads.csv"]] == [
        "P0",
        "P1",
        "P2",
        "P3",
        "P4",
    ]
    assert (files["leads.csv"][0]["Budget"], files["leads.csv"][0]["Tags"]) == (
        "5",
        "VIP",
    )
    assert [(row["Deal"], row["Lead number"]) for row in files["deals.csv"]] == [
        ("'=Licences", str(leads[0].pk))
    ]
    assert [(row["Title"], row["Deal number"]) for row in files["tasks.csv"]] == [
        ("Call", str(deal.pk))
    ]
    assert [(row["Text"], row["Deal number"]) for row in files["notes.csv"]] == [
        ("Likes blue", str(deal.pk))
    ]
    assert [
        (row["Name"], row["Bytes"], row["Deal number"], row["Download"])
        for row in files["files.csv"]
    ] == [
        (
            "'=Offer.pdf",
            str(file.size),
            str(deal.pk),
            f"{django_settings.SITE_URL}/files/{file.pk}/download/",
        )
    ]
    assert [
        (row["Deal number"], row["Lead number"]) for row in files["deal-people.csv"]
    ] == [(str(deal.pk), str(leads[1].pk))]
    assert {row["Event"] for row in files["crm-events.csv"]} == {
        "Lead created",
        "Deal created",
    }
    assert [row["Event id"] for row in files["conversion-events.csv"]] == [
        event.event_id
        for event in ConversionEvent.objects.filter(company=company).order_by("pk")
    ]
    assert {row["E-mail"] for row in files["people.csv"]} == {
        "admin@example.com",
        "sales@example.com",
    }
    assert {row["Name"] for row in files["custom-fields.csv"]} == {"Budget"}
    assert all(
        files[name]
        for name in ("lead-statuses.csv", "stages.csv", "pipelines.csv", "tags.csv")
    )
    assert Task.objects.count() == 1


def test_it_has_no_secret_and_no_one_who_was_erased(
    client: Client, admin: Membership, token: Any
) -> None:
    erase_lead(lead=make_lead(admin.company, first_name="Zoe", email="zoe@example.com"))

    client.post(PAGE)
    rounds.work_through(lambda: True)
    text = b"".join(part.read() for part in ExportPart.objects.all()).decode()

    assert [
        secret
        for secret in (TOKEN, admin.user.password, "Zoe", "zoe@")
        if secret in text
    ] == []


def test_it_is_on_the_audit_log(client: Client, admin: Membership) -> None:
    client.post(PAGE)

    entry = AuditEntry.objects.get(action="export")
    assert entry.details["what"] == "whole company"
    assert entry.actor_id == admin.user_id


def test_no_file_is_read_from_the_rows_of_other_companies(admin: Membership) -> None:
    tables = {file.rows(admin.company).model._meta.db_table for file in archive.FILES}

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_indexes WHERE indexdef LIKE '%(company_id%'"
        )
        by_company = {table for (table,) in cursor.fetchall()}

    assert tables - by_company == set()
