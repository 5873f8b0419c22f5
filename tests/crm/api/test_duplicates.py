"""Pairs of leads that may be one person, through the API."""

import pytest
from rest_framework.test import APIClient

from crm.models import Company, Lead, LeadDuplicate
from tests.conftest import make_lead
from tests.crm.api.calling import ADMIN_AND_SALES, caller

pytestmark = pytest.mark.django_db

URL = "/api/v1/duplicates/"


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


def pair_of(first: Lead, second: Lead) -> LeadDuplicate:
    return LeadDuplicate.objects.create(
        company=first.company, first=first, second=second, reason="phone"
    )


@pytest.fixture
def pairs(company: Company) -> list[LeadDuplicate]:
    leads = [make_lead(company, email=f"p{number}@example.com") for number in range(3)]
    return [pair_of(leads[0], leads[1]), pair_of(leads[1], leads[2])]


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_a_role_may_what_the_matrix_says_and_no_more(
    company: Company, pairs: list[LeadDuplicate], role: str
) -> None:
    client, path = caller(company, role), f"{URL}{pairs[0].pk}/"

    answers = [client.get(URL), client.get(path), client.post(f"{path}dismiss/")]

    assert [answer.status_code for answer in answers] == [
        200 if ADMIN_AND_SALES[role] else 403
    ] * 3
    assert LeadDuplicate.objects.open().count() == (1 if ADMIN_AND_SALES[role] else 2)


def test_the_pairs_are_listed_found_last_first_or_of_one_lead(
    script: APIClient, pairs: list[LeadDuplicate]
) -> None:
    first, second = pairs

    found = script.get(URL).json()["results"]

    assert [row["id"] for row in found] == [second.pk, first.pk]
    assert {name: value for name, value in found[1].items() if name != "found_at"} == {
        "id": first.pk, "first": first.first_id, "second": first.second_id, "reason": "phone", "dismissed_at": None,
    }  # fmt: skip
    assert [
        row["id"]
        for row in script.get(URL, {"lead": second.second_id}).json()["results"]
    ] == [second.pk]
    assert len(script.get(URL, {"lead": second.first_id}).json()["results"]) == 2
    assert script.get(URL, {"lead": "x"}).status_code == 400


def test_a_pair_that_is_dismissed_is_listed_no_more_and_a_repeat_changes_nothing(
    script: APIClient, pairs: list[LeadDuplicate]
) -> None:
    path = f"{URL}{pairs[0].pk}/"

    once, again = script.post(f"{path}dismiss/"), script.post(f"{path}dismiss/")

    assert once.json()["dismissed_at"] is not None
    assert (
        (again.status_code, again.json())
        == (200, once.json())
        == (once.status_code, script.get(path).json())
    )
    assert [row["id"] for row in script.get(URL).json()["results"]] == [pairs[1].pk]


def test_another_companys_pair_is_a_404(
    other_company: Company, pairs: list[LeadDuplicate]
) -> None:
    theirs = caller(other_company, "admin")

    assert theirs.get(f"{URL}{pairs[0].pk}/").status_code == 404
    assert theirs.post(f"{URL}{pairs[0].pk}/dismiss/").status_code == 404
    assert theirs.get(URL).json()["results"] == []
    assert LeadDuplicate.objects.open().count() == 2


def test_a_pair_that_is_merged_is_gone(
    script: APIClient, pairs: list[LeadDuplicate]
) -> None:
    script.post(
        f"/api/v1/leads/{pairs[0].first_id}/merge/", {"lead": pairs[0].second_id}
    )

    assert script.get(URL).json()["results"] == []
