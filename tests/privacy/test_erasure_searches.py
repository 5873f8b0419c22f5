"""S37: after an erasure no session knows any more what its user searched for."""

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from crm.erasure import erase_lead
from crm.roles import Role
from tests.conftest import join, make_lead

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


@pytest.fixture
def lead(company):
    return make_lead(company, last_name="Lovelace")


def search(client, text="Lovelace"):
    """Search on the page, and return the address of what was found."""
    return client.post("/leads/", {"search": text}).url


def kept():
    return " ".join(str(session.get_decoded()) for session in Session.objects.all())


def test_s37_the_searches_of_all_members_are_forgotten(client_as, admin, sales, lead):
    clients = [client_as(admin), client_as(sales), client_as(sales)]
    addresses = [search(client) for client in clients]
    assert kept().count("Lovelace") == 3

    erase_lead(lead=lead)

    assert "Lovelace" not in kept()
    assert [client.get(address).status_code for client, address in zip(clients, addresses, strict=True)] == [200] * 3


def test_s37_the_session_that_erases_does_not_bring_its_searches_back(client_as, admin, lead):
    client = client_as(admin)
    search(client)

    client.post(f"/leads/{lead.pk}/erase/", {"name": "Ada Lovelace"})

    assert "Lovelace" not in kept()


def test_s37_sessions_that_ended_and_those_of_former_members_are_cleared_too(client_as, admin, sales, lead):
    search(client_as(sales))
    Session.objects.update(expire_date=timezone.now())
    search(client_as(admin))
    type(admin).objects.filter(pk=admin.pk).update(is_active=False)

    erase_lead(lead=lead)

    assert "Lovelace" not in kept()


def test_people_of_other_companies_keep_theirs_and_nobody_is_signed_out(client_as, admin, other_company, lead):
    ours, theirs = client_as(admin), client_as(join(other_company, Role.ADMIN, email="theirs@example.com"))
    search(ours)
    address = search(theirs)

    erase_lead(lead=lead)

    assert 'value="Lovelace"' in theirs.get(address).content.decode()
    assert ours.get("/leads/").status_code == 200
