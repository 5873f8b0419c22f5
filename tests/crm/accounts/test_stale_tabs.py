"""S07: a page left open in one company writes nothing into the company that the user has switched to since."""

import re

import pytest
from django.test import Client

from crm.models import Lead, LeadStatus, Membership
from crm.services import people
from tests.conftest import client_of, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def both(sales, other_company):
    Membership.objects.create(company=other_company, user=sales.user, role="admin")
    return client_of(sales.user, Client(enforce_csrf_checks=True))


def token_in(page):
    return re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode()
    ).group(1)


def new_lead(company, token):
    """The form for a lead, valid for this company except perhaps for the token."""
    status = LeadStatus.objects.for_company(company).first()
    return {
        "first_name": "Ada",
        "type": "inbound",
        "status": status.pk,
        "csrfmiddlewaretoken": token,
    }


def switch(client, company):
    token = token_in(client.get("/leads/new/"))
    return client.post(
        "/switch-company/", {"company": company.pk, "csrfmiddlewaretoken": token}
    )


def test_a_form_of_the_former_company_writes_nothing(both, other_company):
    stale = token_in(both.get("/leads/new/"))
    switch(both, other_company)

    response = both.post("/leads/new/", new_lead(other_company, stale))

    assert response.status_code == 403
    assert "Go back, reload the page and try again." in response.content.decode()
    assert not Lead.objects.exists()


def test_neither_does_what_a_script_sends(both, other_company):
    stale = token_in(both.get("/leads/new/"))
    switch(both, other_company)

    response = both.post(
        "/company/",
        {"name": "Ours"},
        headers={"X-CSRFToken": stale, "HX-Request": "true"},
    )

    other_company.refresh_from_db()
    assert response.status_code == 403
    assert other_company.name == "Contoso GmbH"


def test_a_form_of_the_new_company_works(both, other_company):
    switch(both, other_company)
    token = token_in(both.get("/leads/new/"))

    both.post("/leads/new/", new_lead(other_company, token))

    assert Lead.objects.get().company == other_company


def test_whoever_is_shut_out_of_the_company_writes_nothing_into_the_next_one(
    both, sales, admin, other_company
):
    stale = token_in(both.get("/leads/new/"))
    people.deactivate(membership=sales)

    first = both.post("/leads/new/", new_lead(other_company, stale))
    second = both.post("/leads/new/", new_lead(other_company, stale))

    assert [first.status_code, second.status_code] == [403, 403]
    assert not Lead.objects.exists()


def test_a_lead_of_the_former_company_is_not_found(both, sales, other_company):
    lead = make_lead(sales.company)
    switch(both, other_company)
    token = token_in(both.get("/leads/new/"))

    response = both.post(
        f"/leads/{lead.pk}/edit/", {"first_name": "Eve", "csrfmiddlewaretoken": token}
    )

    lead.refresh_from_db()
    assert response.status_code == 404
    assert lead.first_name == "Ada"
