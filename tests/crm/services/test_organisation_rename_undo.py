"""Undoing a rename of an organisation, or a merge of two: each lead gets its former spelling back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from capi.models import ConversionEvent
from crm.models import (
    AuditEntry,
    CrmEvent,
    Lead,
    OrganisationDetails,
    OrganisationRename,
)
from crm.services.erasure import erase_lead
from crm.services.organisation_rename_undo import undo_rename
from crm.services.organisations import RenameRefused, rename_organisation
from tests.conftest import make_lead


@pytest.fixture
def leads(company):
    return [make_lead(company, organisation=name) for name in ("Acme", "ACME", "Bach")]


def merged(company, lead_count=2, joined_count=1):
    """Acme becomes Bach. Returns the rename."""
    rename_organisation(
        company=company,
        organisation="acme",
        name="Bach",
        lead_count=lead_count,
        joined_count=joined_count,
    )
    return OrganisationRename.objects.get()


def names():
    return list(Lead.objects.order_by("pk").values_list("organisation", flat=True))


def keys():
    rows = OrganisationDetails.objects.order_by("key")
    return list(rows.values_list("key", "industry"))


@pytest.mark.django_db
def test_each_lead_gets_its_spelling_back(company, leads):
    assert undo_rename(rename=merged(company)) == 2

    assert names() == ["Acme", "ACME", "Bach"]
    assert not OrganisationRename.objects.exists()


@pytest.mark.django_db
def test_a_lead_that_has_another_name_since_keeps_it(company, leads):
    rename = merged(company)
    Lead.objects.filter(pk=leads[0].pk).update(organisation="Cello")

    assert undo_rename(rename=rename) == 1

    assert names() == ["Cello", "ACME", "Bach"]


@pytest.mark.django_db
def test_leads_that_were_merged_get_theirs_back_too(company, leads):
    gone = make_lead(company, organisation="acme")
    Lead.objects.filter(pk=gone.pk).update(merged_into=leads[0])

    rename = merged(company)
    assert names() == ["Bach", "Bach", "Bach", "Bach"]
    undo_rename(rename=rename)

    assert names() == ["Acme", "ACME", "Bach", "acme"]


@pytest.mark.django_db
def test_details_that_moved_move_back(company, leads):
    OrganisationDetails.objects.create(company=company, key="acme", industry="Paper")

    rename = merged(company)
    assert keys() == [("bach", "Paper")]
    undo_rename(rename=rename)

    assert keys() == [("acme", "Paper")]


@pytest.mark.django_db
def test_of_two_with_details_each_has_its_own_again(company, leads):
    for key, industry in (("acme", "Paper"), ("bach", "Music")):
        OrganisationDetails.objects.create(company=company, key=key, industry=industry)

    undo_rename(rename=merged(company))

    assert keys() == [("acme", "Paper"), ("bach", "Music")]


@pytest.mark.django_db
def test_it_can_be_undone_once_and_for_a_day(company, leads):
    rename = merged(company)
    OrganisationRename.objects.update(renamed_at=timezone.now() - timedelta(hours=25))
    with pytest.raises(RenameRefused):
        undo_rename(rename=rename)

    OrganisationRename.objects.update(renamed_at=timezone.now())
    undo_rename(rename=OrganisationRename.objects.get())
    with pytest.raises(RenameRefused):
        undo_rename(rename=rename)

    assert names() == ["Acme", "ACME", "Bach"]


@pytest.mark.django_db
def test_it_causes_no_event_and_is_on_record_without_a_name(
    company, token, make_rule, leads
):
    make_rule()
    before = [model.objects.count() for model in (CrmEvent, ConversionEvent)]

    undo_rename(rename=merged(company))

    assert [model.objects.count() for model in (CrmEvent, ConversionEvent)] == before
    entries = AuditEntry.objects.filter(action="organisation_renamed")
    assert [each.details for each in entries] == [{"leads": 2}, {"leads": 2}]


@pytest.mark.django_db(transaction=True)
def test_an_erasure_leaves_no_former_name_and_no_details_of_it(company, other_company):
    lead = make_lead(company, organisation="Acme")
    make_lead(company, organisation="Bach")
    for key in ("acme", "bach"):
        OrganisationDetails.objects.create(company=company, key=key, industry=key)
    make_lead(other_company, organisation="Acme")
    rename = merged(company, lead_count=1)
    merged_there = {"name": "Bach", "names": {"Acme": [1]}, "moved_details": False}
    theirs = OrganisationRename.objects.create(company=other_company, **merged_there)
    assert [key for key, _ in keys()] == ["acme", "bach"]

    erase_lead(lead=lead)

    assert OrganisationRename.objects.get() == theirs
    assert keys() == [("bach", "bach")]
    with pytest.raises(RenameRefused):
        undo_rename(rename=rename)


# On the page


@pytest.mark.django_db
def test_the_page_offers_it(client_as, sales, ops, company, leads):
    merged(company)

    text = client_as(sales).get("/organisations/bach/").content.decode()
    assert "was renamed to this" in text
    assert "rename/undo/" in text
    assert (
        "rename/undo/"
        not in client_as(ops).get("/organisations/bach/").content.decode()
    )

    answer = client_as(sales).post("/organisations/bach/rename/undo/", follow=True)

    assert answer.redirect_chain == [("/organisations/acme/", 302)]
    assert "2 leads have the former name again" in answer.content.decode()
    assert names() == ["Acme", "ACME", "Bach"]
    assert "was renamed to this" not in answer.content.decode()


@pytest.mark.django_db
def test_the_page_says_if_there_is_nothing_to_undo(client_as, sales, company, leads):
    client = client_as(sales)
    undo = "/organisations/bach/rename/undo/"

    assert "There is nothing to undo" in client.post(undo, follow=True).content.decode()

    merged(company)
    Lead.objects.exclude(pk=leads[2].pk).update(organisation="Cello")
    answer = client.post(undo, follow=True).content.decode()
    assert "Nothing was undone" in answer
