"""`external_ids`: what leads and deals are called in other systems."""

import pytest

from crm.models import DealExternalId, Lead, LeadExternalId
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db

LEADS = "/api/v1/leads/"
DEALS = "/api/v1/deals/"
WRONG = ["Enter the short name of a system, a colon and the id, such as hubspot:12345."]


@pytest.fixture
def client(company):
    return caller(company, "sales")


def patch(client, url, row, ids):
    return client.patch(f"{url}{row.pk}/", {"external_ids": ids}, format="json")


def found(client, url, text):
    answer = client.get(url, {"external_id": text})
    return [row["id"] for row in answer.json()["results"]]


def test_a_lead_is_added_with_its_ids_and_found_by_them(company, client):
    make_lead(company)
    body = {"last_name": "Ada", "external_ids": ["hubspot:12:3", "erp:K-0815"]}

    added = client.post(LEADS, body, format="json").json()

    assert sorted(added["external_ids"]) == ["erp:K-0815", "hubspot:12:3"]
    assert found(client, LEADS, "hubspot:12:3") == [added["id"]]
    assert found(client, LEADS, "hubspot:12") == []
    assert found(client, LEADS, "erp:k-0815") == []
    listed = client.get(LEADS).json()["results"]
    assert [row["external_ids"] for row in listed] == [added["external_ids"], []]


def test_a_deal_is_added_with_its_ids_and_found_by_them(company, client):
    lead = make_lead(company)
    body = {"lead": lead.pk, "title": "Licences", "external_ids": ["hubspot:1"]}

    added = client.post(DEALS, body, format="json").json()

    assert added["external_ids"] == ["hubspot:1"]
    assert found(client, DEALS, "hubspot:1") == [added["id"]]
    assert found(client, LEADS, "hubspot:1") == []


@pytest.mark.parametrize("url", [LEADS, DEALS])
def test_written_ids_replace_the_others_and_count_as_a_change(company, client, url):
    lead = make_lead(company)
    row = lead if url == LEADS else make_deal(lead)
    patch(client, url, row, ["a:1", "b:2"])
    first = client.get(f"{url}{row.pk}/").json()

    second = patch(client, url, row, ["b:2", "c:3", "c:3"]).json()

    assert second["external_ids"] == ["b:2", "c:3"]
    assert second["updated_at"] > first["updated_at"]
    assert patch(client, url, row, ["c:3", "b:2"]).json() == second
    row.refresh_from_db()
    assert client.patch(f"{url}{row.pk}/", {}).json() == second
    assert patch(client, url, row, []).json()["external_ids"] == []


@pytest.mark.parametrize("url", [LEADS, DEALS])
def test_no_two_have_the_same_id(company, client, url):
    rows = [make_lead(company), make_lead(company, email="grace@example.com")]
    if url == DEALS:
        rows = [make_deal(lead) for lead in rows]
    first, second = rows
    patch(client, url, first, ["hubspot:1"])

    answer = patch(client, url, second, ["erp:2", "hubspot:1"])

    kind = "lead" if url == LEADS else "deal"
    message = f"hubspot:1 is the external id of {kind} {first.pk}."
    assert (answer.status_code, answer.json()) == (400, {"external_ids": [message]})
    assert not second.external_ids.exists()


def test_a_lead_whose_id_is_taken_is_not_added(company, client):
    lead = make_lead(company)
    patch(client, LEADS, lead, ["hubspot:1"])
    body = {"last_name": "Grace", "external_ids": ["hubspot:1"]}

    assert client.post(LEADS, body, format="json").status_code == 400
    assert list(Lead.objects.for_company(company)) == [lead]


def test_another_company_may_have_the_same_id(company, other_company, client):
    theirs = make_lead(other_company)
    own = make_lead(company)
    for client_, lead in ((client, own), (caller(other_company), theirs)):
        assert patch(client_, LEADS, lead, ["hubspot:1"]).status_code == 200

    assert found(client, LEADS, "hubspot:1") == [own.pk]


@pytest.mark.parametrize(
    "wrong",
    [
        "12345",
        "hubspot:",
        ":1",
        "HubSpot:1",
        "hubspot:1 2",
        "hubspot:é",
        f"a:{201 * 'x'}",
        f"{41 * 'a'}:1",
        "a:\0",
    ],
)
def test_an_id_has_a_system_and_printable_characters(company, client, wrong):
    lead = make_lead(company)

    assert patch(client, LEADS, lead, [wrong]).status_code == 400
    listed = client.get(LEADS, {"external_id": wrong})
    assert listed.status_code == 400
    assert list(listed.json()) == ["external_id"]


def test_what_is_wrong_with_an_id_is_said(company, client):
    lead = make_lead(company)

    assert patch(client, LEADS, lead, ["12345"]).json() == {
        "external_ids": {"0": WRONG}
    }
    assert client.get(LEADS, {"external_id": "12345"}).json() == {"external_id": WRONG}
    for each in ("hubspot:1", {"hubspot": "1"}, None, [None], [["a:1"]]):
        assert patch(client, LEADS, lead, each).status_code == 400
    many = [f"a:{number}" for number in range(21)]
    assert patch(client, LEADS, lead, many).status_code == 400
    assert not lead.external_ids.exists()


def test_a_merge_moves_them_and_its_undo_moves_them_back(company, client):
    kept, gone = make_lead(company), make_lead(company, email="grace@example.com")
    patch(client, LEADS, kept, ["hubspot:1"])
    patch(client, LEADS, gone, ["hubspot:2"])

    merge = merge_leads(kept=kept, gone=gone)

    assert found(client, LEADS, "hubspot:2") == [kept.pk]
    assert [str(each) for each in kept.external_ids.all()] == ["hubspot:1", "hubspot:2"]
    undo_merge(merge=merge)
    assert found(client, LEADS, "hubspot:2") == [gone.pk]
    assert found(client, LEADS, "hubspot:1") == [kept.pk]


def test_an_erasure_deletes_them(company, client):
    deal = make_deal(make_lead(company))
    patch(client, LEADS, deal.lead, ["hubspot:1"])
    patch(client, DEALS, deal, ["hubspot:2"])

    erase_lead(lead=deal.lead)

    assert not LeadExternalId.objects.exists()
    assert not DealExternalId.objects.exists()
    assert patch(client, LEADS, deal.lead, ["hubspot:1"]).status_code in (404, 409)
    assert patch(client, DEALS, deal, ["hubspot:2"]).status_code == 409


def test_they_go_with_their_lead(company, client):
    deal = make_deal(make_lead(company))
    patch(client, LEADS, deal.lead, ["hubspot:1"])
    patch(client, DEALS, deal, ["hubspot:2"])

    deal.lead.delete()

    assert not LeadExternalId.objects.exists()
    assert not DealExternalId.objects.exists()
