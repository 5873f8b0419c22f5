"""S37: after an erasure no one's pages know any more what was searched for, whatever was under way."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from crm.models import LeadSearch, LeadSource, SavedView
from crm.models.roles import Role
from crm.services.erasure import erase_lead
from tests.conftest import join, make_lead
from tests.housekeeping import keep_house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lead(company):
    return make_lead(company, last_name="Lovelace")


def search(client, text="Lovelace"):
    """Search on the page, and return the URL of the result."""
    return client.post("/leads/", {"search": text}).url


def kept():
    """All that is kept of searches, wherever."""
    return [
        *LeadSearch.objects.values_list("text", flat=True),
        *(str(one.get_decoded()) for one in Session.objects.all()),
    ]


@pytest.mark.covers("S37")
def test_the_searches_of_all_members_are_forgotten(client_as, admin, sales, lead):
    clients = [client_as(admin), client_as(sales), client_as(sales)]
    addresses = [search(client) for client in clients]
    assert list(LeadSearch.objects.values_list("text", flat=True)) == ["Lovelace"] * 2

    erase_lead(lead=lead)

    answers = [
        client.get(address) for client, address in zip(clients, addresses, strict=True)
    ]
    assert "Lovelace" not in str(kept())
    assert [answer.context["search"] for answer in answers] == [""] * 3


@pytest.mark.covers("S37")
def test_a_session_that_was_read_before_brings_nothing_back(client_as, admin, lead):
    client = client_as(admin)
    search(client)
    stale = client.session

    erase_lead(lead=lead)
    stale["something"] = "else"
    stale.save()

    assert "Lovelace" not in str(kept())


@pytest.mark.covers("S37")
def test_searches_of_former_members_are_forgotten_too(client_as, admin, lead):
    search(client_as(admin))
    type(admin).objects.filter(pk=admin.pk).update(is_active=False)

    erase_lead(lead=lead)

    assert "Lovelace" not in str(kept())


def test_people_of_other_companies_keep_theirs_and_nobody_is_signed_out(
    client_as, admin, other_company, lead
):
    ours, theirs = (
        client_as(admin),
        client_as(join(other_company, Role.ADMIN, email="theirs@example.com")),
    )
    search(ours)
    address = search(theirs)

    erase_lead(lead=lead)

    assert 'value="Lovelace"' in theirs.get(address).content.decode()
    assert ours.get("/leads/").status_code == 200


def test_a_search_is_the_members_own(client_as, admin, sales, lead):
    address = search(client_as(admin))

    answer = client_as(sales).get(address)

    assert answer.context["search"] == ""
    assert "a search that has expired or is not yours" in answer.content.decode()


def test_searching_twice_keeps_it_once_and_old_searches_go(client_as, admin, lead):
    client = client_as(admin)
    assert search(client) == search(client)
    LeadSearch.objects.update(created_at=timezone.now() - timedelta(days=8))
    search(client, "Byron")

    keep_house()

    assert list(LeadSearch.objects.values_list("text", flat=True)) == ["Byron"]


def view_of(company, owner, query):
    return SavedView.objects.create(
        company=company,
        owner=owner,
        name=f"View {SavedView.objects.count()}",
        query=query,
    )


@pytest.mark.covers("S37")
def test_a_source_that_only_this_person_had_is_in_no_view_afterwards(
    client_as, company, sales, other_company
):
    lead = make_lead(company, source="Sent by Ada & Co")
    text = "source=Sent+by+Ada+%26+Co"
    view = view_of(company, sales.user, f"type=inbound&{text}&sort=name")
    foreign = view_of(other_company, sales.user, text)

    erase_lead(lead=lead)

    view.refresh_from_db()
    foreign.refresh_from_db()
    assert (view.query, foreign.query) == ("type=inbound&source=+&sort=name", text)
    make_lead(company)
    response = client_as(sales).get(f"/leads/?{view.query}")
    assert list(response.context["page"]) == []
    assert "A filter no longer works" in response.content.decode()


@pytest.mark.parametrize("shared_with", ["lead", "list"])
def test_a_source_that_others_have_or_the_list_stays_in_views(
    company, sales, shared_with
):
    lead = make_lead(company, source="Fair")
    if shared_with == "lead":
        make_lead(company, source="Fair")
    else:
        LeadSource.objects.create(company=company, name="Fair")
    view = view_of(company, sales.user, "source=Fair")

    erase_lead(lead=lead)

    view.refresh_from_db()
    assert view.query == "source=Fair"
