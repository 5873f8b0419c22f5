"""Merging leads through the API."""

import pytest

from crm.api.deals import DealSerializer
from crm.api.serializers import LeadSerializer
from crm.models import ApiKey, CrmEvent, Deal, Lead, LeadMerge, LeadStatus
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(client, company):
    _, text = ApiKey.objects.issue(company=company, role="sales", name="Website")
    return lambda method, url, data=None, **headers: getattr(client, method)(
        url,
        data,
        content_type="application/json",
        headers={"Authorization": f"Bearer {text}", **headers},
    )


@pytest.fixture
def leads(company):
    return make_lead(company), make_lead(
        company, email="second@example.com", phone="+31 20 555 0142"
    )


def test_a_lead_is_merged_into_another_one(api, leads):
    kept, gone = leads

    response = api(
        "post", f"/api/v1/leads/{kept.pk}/merge/", {"lead": gone.pk, "take": ["phone"]}
    )

    assert (response.status_code, response.json()["phone"]) == (200, gone.phone)
    assert Lead.objects.get(pk=gone.pk).merged_into == kept
    missing = api("get", f"/api/v1/leads/{gone.pk}/")
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        f"Lead {gone.pk} was merged into lead {kept.pk}.",
    )
    assert [row["id"] for row in api("get", "/api/v1/leads/").json()["results"]] == [
        kept.pk
    ]


def test_a_merge_that_is_repeated_changes_nothing_and_another_one_is_refused(
    api, company, leads
):
    kept, gone = leads
    body = {"lead": gone.pk, "take": ["phone"]}
    first = api("post", f"/api/v1/leads/{kept.pk}/merge/", body)

    again = api("post", f"/api/v1/leads/{kept.pk}/merge/", body)
    elsewhere = api("post", f"/api/v1/leads/{make_lead(company).pk}/merge/", body)

    assert (again.status_code, again.json()) == (200, first.json())
    assert elsewhere.status_code == 409
    assert LeadMerge.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400), ({"lead": 0}, 400), ({"lead": "x"}, 400), ({"lead": None, "take": "phone"}, 400),
        ({"lead": "GONE", "take": ["salary"]}, 400), ({"lead": "GONE", "why": 1}, 400), ([], 400),
        ({"lead": "KEPT"}, 409), ({"lead": "STRANGE"}, 400),
    ],
)  # fmt: skip
def test_bad_input_merges_nothing(api, leads, other_company, body, status):
    kept, gone = leads
    ids = {"GONE": gone.pk, "KEPT": kept.pk, "STRANGE": make_lead(other_company).pk}
    if isinstance(body, dict) and body.get("lead") in ids:
        body = {**body, "lead": ids[body["lead"]]}

    assert api("post", f"/api/v1/leads/{kept.pk}/merge/", body).status_code == status
    assert not Lead.objects.filter(merged_into__isnull=False).exists()


def test_a_name_of_a_field_may_be_no_text_at_all(api, leads):
    response = api("post", f"/api/v1/leads/{leads[0].pk}/merge/", '{"\\ud800": 1}')

    assert (response.status_code, response.json()) == (
        400,
        {"?": ["There is no such field."]},
    )


@pytest.fixture
def merging_meanwhile(leads, monkeypatch):
    """Let the second lead be merged into the first once a request has read what it changes."""

    def merging(serializer):
        update = serializer.update

        def update_later(self, instance, data):
            merge_leads(kept=leads[0], gone=leads[1])
            return update(self, instance, data)

        monkeypatch.setattr(serializer, "update", update_later)

    return merging


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "body", [{"share_with_ad_platforms": False}, {"status": "qualified"}, {"tags": []}]
)
def test_nothing_is_written_to_a_lead_that_is_merged_meanwhile(
    api, company, leads, merging_meanwhile, body
):
    gone = leads[1]
    merging_meanwhile(LeadSerializer)
    if "status" in body:
        body = {
            "status": LeadStatus.objects.get(company=company, meaning="qualified").pk
        }

    response = api("patch", f"/api/v1/leads/{gone.pk}/", body)

    assert (
        response.status_code,
        "merged into another one" in response.json()["detail"],
    ) == (409, True)
    assert not CrmEvent.objects.filter(kind="lead_qualified").exists()
    assert Lead.objects.filter(share_with_ad_platforms=False).count() == 0


@pytest.mark.django_db(transaction=True)
def test_no_deal_is_given_to_a_lead_that_is_merged_meanwhile(
    api, company, leads, merging_meanwhile
):
    deal = make_deal(make_lead(company, email="third@example.com"))
    merging_meanwhile(DealSerializer)

    response = api("patch", f"/api/v1/deals/{deal.pk}/", {"lead": leads[1].pk})

    assert response.status_code == 409
    assert Deal.objects.get().lead == deal.lead


def test_a_repeated_request_returns_the_lead_that_was_kept(api, leads):
    body, key = (
        {"first_name": "Ada", "email": "third@example.com"},
        {"Idempotency-Key": "row-7"},
    )
    added = api("post", "/api/v1/leads/", body, **key).json()["id"]
    merge_leads(kept=leads[0], gone=Lead.objects.get(pk=added))

    assert api("post", "/api/v1/leads/", body, **key).json()["id"] == leads[0].pk
