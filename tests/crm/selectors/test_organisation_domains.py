"""The domain that an organisation's people have, and other organisations with the same one."""

import pytest

from crm.models import Lead, OrganisationDetails
from crm.selectors.organisation_domains import others_with_domain, usual_domain
from tests.conftest import make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db


def make_details(company, name, domain="acme.com", **lead):
    make_lead(company, organisation=name, **lead)
    return OrganisationDetails.objects.create(
        company=company, key=name.lower(), domain=domain
    )


@pytest.mark.parametrize(
    ("addresses", "domain"),
    [
        (["a@ACME.com", "b@acme.com", "c@bach.com"], "acme.com"),
        (["a@gmail.com", "b@gmail.com", "c@bach.com"], "bach.com"),
        (["a@gmail.com", ""], ""),
        ([""], ""),
    ],
)
def test_most_addresses_but_those_of_providers_tell_the_domain(
    company, other_company, addresses, domain
):
    for address in addresses:
        make_lead(company, organisation="Acme", email=address)
    for number in range(3):
        make_lead(company, organisation="Bach", email=f"{number}@else.com")
        make_lead(other_company, organisation="Acme", email=f"{number}@else.com")

    assert usual_domain(company, "acme") == domain


def test_others_with_the_same_domain_are_named(company, other_company):
    acme = make_details(company, "Acme")
    make_details(company, "Acme GmbH")
    make_details(company, "Bach", "bach.com")
    make_details(company, "Cello", "")
    make_details(other_company, "Theirs")
    OrganisationDetails.objects.create(company=company, key="fox", domain="acme.com")

    assert others_with_domain(company, acme) == ["Acme GmbH"]
    assert others_with_domain(company, OrganisationDetails(key="cello")) == []


def test_the_page_leads_to_the_question_before_a_merge(client_as, sales, company):
    make_details(company, "Acme")
    make_details(company, "Acme GmbH")
    client = client_as(sales)

    text = client.get("/organisations/acme/").content.decode()
    assert "Possible duplicate:" in text
    question = client.post("/organisations/acme/rename/", {"name": "Acme GmbH"})

    assert "is there already" in question.content.decode()
    assert Lead.objects.filter(organisation="Acme").exists()


def test_the_form_says_which_domain_its_people_have(client_as, sales, company):
    make_lead(company, organisation="Acme", email="ada@acme.com")
    client, page = client_as(sales), "/organisations/acme/edit/"

    assert "Most of its people have acme.com." in client.get(page).content.decode()
    client.post(page, {"domain": "acme.com"})
    assert "Most of its people" not in client.get(page).content.decode()


def test_a_script_finds_an_organisation_by_its_domain(company, other_company):
    make_details(company, "Acme")
    make_details(company, "Bach", "bach.com")
    make_details(other_company, "Theirs")

    answer = caller(company).get("/api/v1/organisations/", {"domain": "Acme.com"})

    assert [each["name"] for each in answer.json()["results"]] == ["Acme"]
