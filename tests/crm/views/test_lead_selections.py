"""The selected leads of a page: their owner, and their deletion. Status and tags: test_lead_status.py, test_tags.py."""

from typing import Any

import pytest
from django.test import Client

from crm.models import AuditEntry, Company, Lead, LeadStatus, Membership
from crm.models.roles import Role
from crm.services.bulk_changes import AT_ONCE
from tests.conftest import join, make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client_as: Any, admin: Membership) -> Client:
    found: Client = client_as(admin)
    return found


def test_selected_leads_get_an_owner_and_lose_it(
    client: Client, company: Company, sales: Membership
) -> None:
    leads = [make_lead(company), make_lead(company, email="bea@example.com")]
    other = make_lead(company, email="other@example.com")
    form = {"lead": [lead.pk for lead in leads], "next": "/leads/?sort=name"}

    given = client.post("/leads/owner/", {**form, "owner": sales.user_id}, follow=True)
    assert "2 leads now belong to Sales Jansen." in given.content.decode()
    assert given.redirect_chain[-1][0] == "/leads/?sort=name"
    assert set(Lead.objects.filter(owner=sales.user)) == set(leads)
    taken = client.post("/leads/owner/", {**form, "owner": ""}, follow=True)

    assert "2 leads now belong to no one." in taken.content.decode()
    assert set(Lead.objects.values_list("owner", flat=True)) == {None}
    other.refresh_from_db()
    assert other.owner is None


@pytest.mark.parametrize("owner", ["x", "0", "9" * 30, "\x00"])
def test_an_owner_who_is_none_is_not_found(
    client: Client, company: Company, owner: str
) -> None:
    assert (
        client.post(
            "/leads/owner/", {"lead": [make_lead(company).pk], "owner": owner}
        ).status_code
        == 404
    )


def test_somebody_elses_colleague_and_leads_are_left_alone(
    client: Client, company: Company, other_company: Company, sales: Membership
) -> None:
    stranger = join(other_company, Role.SALES, email="x@example.com")
    own, foreign = make_lead(company), make_lead(other_company)

    assert (
        client.post(
            "/leads/owner/", {"lead": [own.pk], "owner": stranger.user_id}
        ).status_code
        == 404
    )
    client.post("/leads/owner/", {"lead": [own.pk, foreign.pk], "owner": sales.user_id})
    client.post("/leads/delete/", {"lead": [foreign.pk], "confirmed": "1"})

    assert list(Lead.objects.filter(owner=sales.user)) == [own]
    assert Lead.objects.filter(pk=foreign.pk).exists()


def test_a_deletion_asks_first_and_names_what_goes_along(
    client: Client, company: Company
) -> None:
    leads = [make_lead(company), make_lead(company, email="bea@example.com")]
    make_deal(leads[0])
    stays = make_lead(company, email="stays@example.com")
    form = {"lead": [lead.pk for lead in leads], "next": "/leads/?sort=name"}

    asked = client.post("/leads/delete/", form)
    by_htmx = client.post("/leads/delete/", form, headers={"HX-Request": "true"})

    assert by_htmx.headers["HX-Redirect"] == asked.url
    page = client.get(asked.url)
    assert page.context["belongings"].deals == 1
    assert "Delete 2 leads?" in page.content.decode()
    assert Lead.objects.count() == 3
    done = client.post(asked.url, {**form, "confirmed": "1"}, follow=True)
    assert "2 leads were deleted." in done.content.decode()
    assert list(Lead.objects.all()) == [stays]
    assert AuditEntry.objects.filter(action="lead_deleted").count() == 2
    assert AuditEntry.objects.get(action="bulk_change").details == {
        "change": "delete",
        "leads": 2,
    }


@pytest.mark.parametrize("path", ["/leads/owner/", "/leads/delete/"])
def test_selecting_nothing_says_so(client: Client, company: Company, path: str) -> None:
    make_lead(company)

    answer = client.post(path, {"owner": "", "confirmed": "1"}, follow=True)

    assert "Select the leads to change first." in answer.content.decode()
    assert not AuditEntry.objects.filter(action="bulk_change").exists()


def test_the_address_of_a_deletion_alone_leads_back_to_the_list(client: Client) -> None:
    assert [client.get("/leads/delete/").url, client.head("/leads/delete/").url] == [
        "/leads/",
        "/leads/",
    ]


def test_more_than_a_page_has_are_not_selected_one_by_one(
    client: Client, company: Company
) -> None:
    lead = make_lead(company)
    keys = [lead.pk, *range(10**9, 10**9 + AT_ONCE)]

    answer = client.post(
        "/leads/delete/", {"lead": keys, "confirmed": "1"}, follow=True
    )

    assert f"at most {AT_ONCE} leads" in answer.content.decode()
    assert Lead.objects.filter(pk=lead.pk).exists()


def test_a_change_of_selected_leads_is_on_the_audit_log(
    client: Client, company: Company
) -> None:
    contacted = LeadStatus.objects.for_company(company).get(name="Contacted")

    client.post(
        "/leads/status/", {"lead": [make_lead(company).pk], "status": contacted.pk}
    )

    entry = AuditEntry.objects.get(action="bulk_change")
    assert entry.details == {"change": "status", "leads": 1, "to": contacted.pk}
