"""The details of an organisation: they go with its name, and with the last person who has it."""

import pytest

from capi.models import ConversionEvent
from crm.models import CrmEvent, Lead, OrganisationDetails
from crm.services.erasure import erase_lead, erase_leads
from crm.services.organisation_details import OrganisationGone, save_details
from crm.services.organisations import rename_organisation
from tests.conftest import make_lead


def make_details(company, key="acme", **values):
    return OrganisationDetails.objects.create(company=company, key=key, **values)


def rename(company, name, joined_count=0):
    rename_organisation(
        company=company,
        organisation="acme",
        name=name,
        lead_count=1,
        joined_count=joined_count,
    )


def details():
    rows = OrganisationDetails.objects.order_by("key")
    return list(rows.values_list("key", "domain", "industry"))


@pytest.mark.django_db
def test_only_the_given_fields_are_written(company):
    make_lead(company, organisation="Acme")
    save_details(company=company, key="acme", values={"industry": "Paper"})

    save_details(company=company, key="acme", values={"domain": "acme.com"})

    assert details() == [("acme", "acme.com", "Paper")]


@pytest.mark.django_db
def test_none_are_saved_once_no_lead_has_the_name(company, other_company):
    make_lead(other_company, organisation="Acme")

    with pytest.raises(OrganisationGone):
        save_details(company=company, key="acme", values={"industry": "Paper"})

    assert details() == []


@pytest.mark.django_db
def test_nothing_of_them_causes_an_event(company, token, make_rule):
    make_rule()
    make_lead(company, organisation="Acme")
    before = [model.objects.count() for model in (CrmEvent, ConversionEvent)]

    save_details(company=company, key="acme", values={"industry": "Paper"})

    assert [model.objects.count() for model in (CrmEvent, ConversionEvent)] == before


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "key"), [("ACME", "acme"), ("Bach  Ltd", "bach ltd")])
def test_a_rename_takes_them_along(company, other_company, name, key):
    make_lead(company, organisation="Acme")
    make_details(company, industry="Paper")
    make_details(other_company, industry="Theirs")

    rename(company, name)

    assert sorted(details()) == sorted([(key, "", "Paper"), ("acme", "", "Theirs")])


@pytest.mark.django_db
def test_of_two_that_are_joined_the_other_ones_stay_and_are_filled_in(company):
    make_lead(company, organisation="Acme")
    make_lead(company, organisation="Bach")
    make_details(company, domain="acme.com", industry="Paper")
    make_details(company, "bach", industry="Music")

    rename(company, "Bach", joined_count=1)

    # Those of the former name stay for an undo.
    assert details() == [("acme", "acme.com", "Paper"), ("bach", "acme.com", "Music")]


@pytest.mark.django_db(transaction=True)
def test_an_erasure_deletes_them_if_no_one_else_has_the_name(company, other_company):
    leads = [make_lead(company, organisation=name) for name in ("Acme", "ACME")]
    make_lead(other_company, organisation="Acme")
    make_details(company)
    make_details(other_company)

    erase_lead(lead=leads[0])
    assert OrganisationDetails.objects.filter(company=company).exists()

    erase_lead(lead=leads[1])
    assert OrganisationDetails.objects.get().company == other_company


@pytest.mark.django_db(transaction=True)
def test_an_erasure_deletes_those_of_a_merged_lead_and_of_several(company):
    kept, gone, other = (
        make_lead(company, organisation=name) for name in ("Acme", "Bach", "Cello")
    )
    for key in ("acme", "bach", "cello"):
        make_details(company, key)
    Lead.objects.filter(pk=gone.pk).update(merged_into=kept)

    erase_leads(leads=[kept, other])

    assert details() == []
