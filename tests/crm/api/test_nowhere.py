"""What the API answers if it has no such URL, row or method, or fails: a sentence in JSON, never a page."""

import pytest
from django.test import Client

from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db

NOTHING = (
    "There is nothing at this URL. API URLs end with a slash; see /api/v1/ for a list."
)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["nothing/", "leads/1/notes/", "leads/x/../", "a//b/", "%00/"]
)
def test_an_unknown_address_is_404_in_json_for_a_key(company, method, path):
    answer = caller(company).generic(method, f"/api/v1/{path}")

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
    assert answer.json()["detail"] == NOTHING


def test_it_is_the_same_for_a_stranger_and_for_a_member(company, admin, client_as):
    answers = [
        client.get("/api/v1/nothing/") for client in (Client(), client_as(admin))
    ]

    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (404, {"detail": NOTHING})
    ] * 2


def test_an_unknown_row_is_404_in_json(company):
    answer = caller(company).get("/api/v1/leads/999/")

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


def test_an_address_without_its_slash_leads_to_the_one_that_has_it(company):
    answer = caller(company).get("/api/v1/leads?page_size=5")

    assert (answer.status_code, answer["Location"]) == (
        301,
        "/api/v1/leads/?page_size=5",
    )


@pytest.mark.parametrize("path", ["conversion-events/", "docs/"])
def test_a_method_that_an_address_does_not_know_is_405_in_json(
    company, admin, client_as, path
):
    answer = client_as(admin).put(f"/api/v1/{path}", headers={"X-CSRFToken": "x"})

    assert (answer.status_code, answer["Content-Type"]) == (405, "application/json")
    assert answer.json() == {"detail": 'Method "PUT" not allowed.'}
    assert "GET" in answer["Allow"]


def test_an_error_that_nobody_foresaw_is_500_in_json(company, monkeypatch):
    monkeypatch.setattr("crm.api.views.LeadViewSet.get_queryset", lambda view: 1 / 0)
    client = caller(company)
    client.raise_request_exception = False

    answer = client.get("/api/v1/leads/")

    assert (answer.status_code, answer["Content-Type"]) == (500, "application/json")
    assert answer.json() == {
        "detail": "Something went wrong. Your changes may not have been saved: check before you send them again."
    }
