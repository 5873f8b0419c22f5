"""The organisation of a new lead, by the domain of its address."""

import pytest

from crm.models import Lead, LeadMeaning, LeadStatus, OrganisationDetails
from crm.models.organisation_figures import organisation_by_domain
from crm.models.picklist import FIRST_TYPE
from tests.conftest import make_lead
from tests.crm.intake.conftest import Sender
from tests.plans import analyse, plans, read_whole

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def acme(company):
    make_lead(company, organisation="Acme", email="")
    return make_details(company, "acme")


def make_details(company, key, domain="acme.com"):
    return OrganisationDetails.objects.create(company=company, key=key, domain=domain)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ada@ACME.com", "Acme"),
        ("ada@sub.acme.com", ""),
        ("ada@acme.comm", ""),
        ("", ""),
    ],
)
def test_the_whole_domain_counts_in_any_case(company, address, name):
    assert organisation_by_domain(company, address) == name


def test_two_with_the_same_domain_tell_none(company):
    make_lead(company, organisation="Bach")
    make_details(company, "bach")

    assert organisation_by_domain(company, "ada@acme.com") == ""


def test_one_that_no_lead_names_does_not_count(company):
    make_details(company, "bach")

    assert organisation_by_domain(company, "ada@acme.com") == "Acme"


def test_other_companies_tell_nothing(company, other_company, acme):
    acme.delete()
    make_lead(other_company, organisation="Acme")
    make_details(other_company, "acme")

    assert organisation_by_domain(company, "ada@acme.com") == ""


def test_it_reads_no_other_details(company):
    OrganisationDetails.objects.bulk_create(
        OrganisationDetails(company=company, key=f"bach {n}", domain=f"bach{n}.com")
        for n in range(2_000)
    )
    analyse("crm_organisationdetails")

    with plans() as found:
        organisation_by_domain(company, "ada@acme.com")

    assert "organisation_by_domain" in str(found)
    assert "crm_organisationdetails" not in read_whole(found)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ({"email": "ada@acme.com"}, "Acme"),
        ({"email": "ada@acme.com", "organisation": "Bach"}, "Bach"),
        ({"email": "ada@example.com"}, ""),
        ({}, ""),
    ],
)
def test_the_form_fills_in_an_empty_organisation(
    client_as, sales, company, typed, name
):
    new = LeadStatus.objects.first_for(company, LeadMeaning.NEW)
    fields = {"first_name": "Grace", "type": FIRST_TYPE, "status": new.pk}
    client_as(sales).post("/leads/new/", {**fields, **typed, "add_anyway": "1"})

    assert Lead.objects.get(first_name="Grace").organisation == name


def test_the_form_of_a_known_lead_leaves_it_empty(client_as, sales, company):
    lead = make_lead(company, email="ada@acme.com", organisation="")
    page = f"/leads/{lead.pk}/edit/"
    fields = client_as(sales).get(page).context["form"].initial

    client_as(sales).post(
        page,
        {
            "first_name": "Grace",
            "email": lead.email,
            "type": fields["type"],
            "status": fields["status"],
        },
    )

    lead.refresh_from_db()
    assert (lead.first_name, lead.organisation) == ("Grace", "")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"email": "ada@acme.com"}, "Acme"),
        ({"email": "ada@acme.com", "company": "Bach"}, "Bach"),
        ({"email": "ada@example.com"}, ""),
        ({"phone": "+31 20 123 4567"}, ""),
    ],
)
def test_what_a_source_sends_is_filled_in_too(company, sent, name):
    Sender(company).sent({"name": "Grace Hopper", **sent})

    assert Lead.objects.get(first_name="Grace").organisation == name
