"""Exports of other CRMs: recognised by the names of their columns, shown on the page, and changed by a select."""

import csv
import io
from collections.abc import Callable
from typing import Final

import pytest
from django.test import Client
from django.urls import reverse

from crm.data_exchange.importing.columns import recognised
from crm.data_exchange.importing.objects.definition import LEFT_OUT
from crm.data_exchange.importing.objects.lead_fields import LEAD_FIELDS
from crm.data_exchange.importing.objects.lead_presets import PRESETS
from crm.data_exchange.importing.objects.leads import LEADS
from crm.models import Lead, LeadImport, Membership, Tag
from tests.crm.data_exchange.importing.choosing import column_fields
from tests.crm.data_exchange.importing.uploading import run, upload

pytestmark = pytest.mark.django_db

# Parts of exports: the name of each column, a cell, and the field that the column is.
SAMPLES: Final = {
    "hubspot": """
Record ID | 151 |
First Name | Inès | first_name
Last Name | Moreau | last_name
Email | ines@harbour.example | email
Phone Number | +31 6 1111 1111 | phone
Contact owner | Sam Visser | owner
Job Title | Head of Fleet | title
Lead Status | NEW | status
Lifecycle Stage | Lead |
Create Date | 2026-03-12 09:14 |
Original Source | Direct Traffic | source
Associated Company IDs | 9001 |
Associated Company | Harbour | organisation
Unsubscribed from all email | true | opted_out
""",
    "pipedrive": """
Person - ID | 151 |
Person - Name | Inès Moreau | full_name
Person - First name | Inès | first_name
Person - Last name | Moreau | last_name
Person - Label | Warm | tags
Person - Organization | Harbour | organisation
Person - Email - Work | ines@harbour.example | email
Person - Email - Home |  |
Person - Phone - Work | +31 6 1111 1111 | phone
Person - Phone - Mobile |  |
Person - Closed deals | 0 |
Person - Next activity date | 2026-04-03 |
Person - Owner | Sam Visser | owner
Person - Job title | Head of Fleet | title
""",
    "salesforce": """
Lead Owner | Sam Visser | owner
First Name | Inès | first_name
Last Name | Moreau | last_name
Title | Head of Fleet | title
Company / Account | Harbour | organisation
Email | ines@harbour.example | email
Lead Source | Direct Traffic | source
Street | Quay 1 |
Phone | +31 6 1111 1111 | phone
Rating | Hot |
Lead Status | Open - Not Contacted | status
Email Opt Out | 1 | opted_out
Created Date | 3/12/2026 |
""",
    "salesforce, data export": """
Id | 00Q5e00000AbCdE |
IsDeleted | 0 |
MasterRecordId |  |
LastName | Moreau | last_name
FirstName | Inès | first_name
Title | Head of Fleet | title
Company | Harbour | organisation
PostalCode | 3011 |
Phone | +31 6 1111 1111 | phone
MobilePhone |  |
Email | ines@harbour.example | email
LeadSource | Direct Traffic | source
Status | Open | status
OwnerId | 0055e000001AbCd |
HasOptedOutOfEmail | 1 | opted_out
SystemModstamp | 2026-03-12T09:14:00.000Z |
""",
    "zoho": """
Record Id | zcrm_4876876000000 |
Lead Owner.id | zcrm_487687 |
Lead Owner | Sam Visser | owner
Company | Harbour | organisation
First Name | Inès | first_name
Last Name | Moreau | last_name
Title | Head of Fleet | title
Email | ines@harbour.example | email
Phone | +31 6 1111 1111 | phone
Mobile |  |
Lead Source | Direct Traffic | source
Lead Status | Contacted | status
Annual Revenue | 1200 |
Email Opt Out | true | opted_out
Secondary Email | i@home.example |
Created Time | 2026-03-12 09:14:00 |
Tag | Warm | tags
""",
    "attio": """
Record ID | bf071e1f-6035-429d-b874-d83ea64ea13b |
Name | Inès Moreau | full_name
Email addresses | ines@harbour.example | email
Company | Harbour | organisation
Job title | Head of Fleet | title
Phone numbers | +31 6 1111 1111 | phone
Primary location | Rotterdam, NL |
Associated deals |  |
""",
}


def sample_of(name: str) -> list[list[str]]:
    """The columns of a sample: for each its name, a cell and its field."""
    lines = SAMPLES[name].strip().split("\n")
    return [[part.strip() for part in line.split("|")] for line in lines]


def upload_sample(sales: Membership, name: str) -> LeadImport:
    file = io.StringIO()
    names, cells, _ = zip(*sample_of(name), strict=True)
    csv.writer(file).writerows([names, cells])
    return upload(sales, file.getvalue())


@pytest.mark.parametrize("name", SAMPLES)
def test_an_export_of_another_crm_is_recognised_with_each_of_its_columns(
    sales: Membership, client_as: Callable[[Membership], Client], name: str
) -> None:
    sales.user.first_name, sales.user.last_name = "Sam", "Visser"
    sales.user.save()
    Tag.objects.create(company=sales.company, name="Warm")
    sample = sample_of(name)
    has = {field for _, _, field in sample}

    checked = upload_sample(sales, name)
    page = client_as(sales).get(checked.get_absolute_url()).content.decode()

    assert checked.columns == [field for _, _, field in sample]
    preset = PRESETS[name.partition(",")[0]]
    assert f"Looks like an export of {preset.label}." in page
    assert f'<option value="{preset.key}" selected>' in page
    run(checked, sales)
    lead = Lead.objects.get()
    assert (lead.name, lead.email, lead.phone, lead.organisation, lead.title) == (
        "Inès Moreau",
        "ines@harbour.example",
        "+31 6 1111 1111",
        "Harbour",
        "Head of Fleet",
    )
    assert lead.source == ("Direct Traffic" if "source" in has else "")
    assert lead.share_with_ad_platforms == ("opted_out" not in has)
    assert lead.owner == (sales.user if "owner" in has else None)
    assert [tag.name for tag in lead.tags.all()] == (["Warm"] if "tags" in has else [])


def test_another_program_can_be_chosen_and_decides_about_all_columns(
    sales: Membership, client_as: Callable[[Membership], Client]
) -> None:
    checked = upload_sample(sales, "zoho")
    web = client_as(sales)
    address = reverse("lead_import_columns", args=[checked.pk])

    chosen = {**column_fields(checked), "preset": ""}
    page = web.post(address, chosen, follow=True).content.decode()

    checked.refresh_from_db()
    tag = [name for name, _, _ in sample_of("zoho")].index("Secondary Email")
    assert (
        checked.columns[tag] == LEFT_OUT
    )  # e-mail is taken by the column with that name
    assert '<option value="" selected>Another program' in page

    back = {**column_fields(checked), "preset": "zoho"}
    web.post(address, back)

    checked.refresh_from_db()
    assert checked.columns == [field for _, _, field in sample_of("zoho")]


def test_a_single_column_can_be_changed_without_another_program(
    sales: Membership, client_as: Callable[[Membership], Client]
) -> None:
    checked = upload_sample(sales, "hubspot")
    web = client_as(sales)

    chosen = {**column_fields(checked), "preset": "hubspot", "column_8": "type"}
    page = web.post(
        reverse("lead_import_columns", args=[checked.pk]), chosen, follow=True
    ).content.decode()

    checked.refresh_from_db()
    assert checked.columns[8] == "type"
    assert '<option value="hubspot" selected>' in page


@pytest.mark.parametrize(
    "header",
    [
        "First name,Last name,E-mail,Company",
        "Email,First Name,Last Name,Record ID",
        "Lead Owner,Lead Source,Email",
        "",
    ],
)
def test_other_files_are_no_export_of_a_crm(header: str) -> None:
    assert recognised(LEADS, header.split(",")) is None


def test_each_preset_names_fields_of_a_lead() -> None:
    for preset in PRESETS.values():
        assert {*preset.fields.values()} <= {LEFT_OUT, *LEAD_FIELDS}
