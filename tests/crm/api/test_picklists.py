"""What a script reads of the lists of a company, and that it can give a lead what it has read."""

import pytest
from rest_framework.test import APIClient

from crm.models import Company, LeadSource, LeadStatus, LeadType, Tag
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db

LISTS = ["lead-statuses", "lead-types", "lead-sources", "tags"]


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


def test_a_lead_can_be_given_what_was_read(company: Company, script: APIClient) -> None:
    LeadSource.objects.create(company=company, name="Fair")
    Tag.objects.create(company=company, name="VIP")

    status, kind, source, tag = (
        script.get(f"/api/v1/{path}/").json()["results"][0] for path in LISTS
    )
    names = {"source": source["name"], "tags": [tag["name"]]}
    answer = script.post(
        "/api/v1/leads/",
        {"first_name": "Ada", "status": status["id"], "type": kind["code"], **names},
    )

    assert answer.status_code == 201, answer.json()
    newest = LeadStatus.objects.for_company(company).latest("pk")
    assert (status["id"], status["name"], status["meaning"]) == (
        newest.pk,
        newest.name,
        newest.meaning,
    )
    assert (status["position"], status["archived_at"]) == (newest.position, None)
    assert (
        kind["name"]
        == LeadType.objects.for_company(company).get(code=kind["code"]).name
    )
    assert tag["name"] == "VIP"


@pytest.mark.parametrize("path", LISTS)
def test_they_are_neither_written_nor_read_by_another_company(
    company: Company, other_company: Company, path: str
) -> None:
    for each in (company, other_company):
        LeadSource.objects.create(company=each, name="Fair")
        Tag.objects.create(company=each, name="VIP")
    theirs = caller(other_company).get(f"/api/v1/{path}/").json()["results"]
    script = caller(company)

    assert script.get(f"/api/v1/{path}/{theirs[0]['id']}/").status_code == 404
    ids = {each["id"] for each in script.get(f"/api/v1/{path}/").json()["results"]}
    assert ids
    assert ids.isdisjoint(each["id"] for each in theirs)
    assert script.post(f"/api/v1/{path}/", {"name": "Mine"}).status_code == 405
