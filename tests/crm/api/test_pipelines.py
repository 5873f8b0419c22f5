"""What a script reads of pipelines and lost reasons, and how it narrows the list of deals by them."""

import pytest

from crm.models import LostReason, Pipeline, Stage
from crm.services.pipelines import add_pipeline
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def script(company):
    return caller(company, "ops")


@pytest.fixture
def renewals(company):
    return add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))


def test_pipelines_are_read_with_their_stages(company, other_company, script, renewals):
    newest, usual = script.get("/api/v1/pipelines/").json()["results"]

    assert (newest["name"], newest["is_default"], usual["is_default"]) == (
        "Renewals",
        False,
        True,
    )
    first = Stage.objects.usual_of(company)[0]
    assert usual["stages"][0] == {
        "id": first.pk,
        "name": "Discovery",
        "meaning": "open",
        "chance": 25,
        "archived_at": None,
    }
    assert [stage["name"] for stage in usual["stages"]] == [
        "Discovery",
        "Proposal",
        "Negotiation",
        "Won",
        "Lost",
    ]
    assert script.get(f"/api/v1/pipelines/{renewals.pk}/").json() == newest


def test_lost_reasons_are_read(company, other_company, script):
    price = LostReason.objects.create(company=company, name="Price")
    theirs = LostReason.objects.create(company=other_company, name="Theirs")

    assert script.get("/api/v1/lost-reasons/").json()["results"] == [
        {"id": price.pk, "name": "Price", "archived_at": None}
    ]
    assert script.get(f"/api/v1/lost-reasons/{theirs.pk}/").status_code == 404


@pytest.mark.parametrize("path", ["pipelines", "lost-reasons"])
def test_neither_is_written_by_a_script(company, path):
    answer = caller(company, "admin").post(f"/api/v1/{path}/", {"name": "Mine"})

    assert answer.status_code == 405


def test_deals_are_narrowed_by_pipeline_stage_and_reason(company, script, renewals):
    price = LostReason.objects.create(company=company, name="Price")
    lead = make_lead(company)
    lost = make_deal(
        lead,
        title="Lost",
        stage=Stage.objects.usual_of(company).get(meaning="lost"),
        lost_reason=price,
    )
    make_deal(lead, title="Again", stage=Stage.objects.of(renewals)[0])

    for query, found in (
        (f"pipeline={renewals.pk}", ["Again"]),
        (f"stage={lost.stage_id}", ["Lost"]),
        (f"lost_reason={price.pk}", ["Lost"]),
        (f"lead={lead.pk}", ["Again", "Lost"]),
        ("meaning=won", []),
    ):
        answer = script.get(f"/api/v1/deals/?{query}")
        assert [deal["title"] for deal in answer.json()["results"]] == found, query
    for query in ("stage=mine", "owner=999"):
        assert script.get(f"/api/v1/deals/?{query}").status_code == 400
