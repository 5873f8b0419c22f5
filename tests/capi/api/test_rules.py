import json

import pytest
from rest_framework.test import APIClient

from capi.models import ConversionEvent, ConversionRule
from tests.conftest import make_lead
from tests.crm.api.calling import ADMIN_AND_OPS, ADMIN_ONLY, call, caller

URL = "/api/v1/conversion-rules/"
RULE = {"name": "Won deals", "crm_event": "deal_won", "linkedin_id": "104012"}


@pytest.fixture
def client(company):
    return caller(company)


@pytest.fixture
def rule(company):
    return ConversionRule.objects.create(company=company, **RULE)


def test_a_rule_is_made_and_shown_in_full(company, client):
    answer = client.post(URL, RULE)

    rule = ConversionRule.objects.get()
    assert answer.status_code == 201
    assert rule.company == company
    assert answer.json() == {
        "id": rule.pk,
        "name": "Won deals",
        "crm_event": "deal_won",
        "linkedin_id": "104012",
        "is_active": True,
        "send_value": True,
        "frequency": "once",
        "is_paused": False,
        "paused_reason": "",
        "created_at": rule.created_at.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize(
    "pasted", ["urn:lla:llaPartnerConversion:104012", "  104012 ", 104012]
)
def test_an_id_is_taken_as_it_was_pasted(client, pasted):
    answer = client.post(URL, {**RULE, "linkedin_id": pasted})

    assert answer.json()["linkedin_id"] == "104012"
    assert ConversionRule.objects.get().linkedin_id == "104012"


BAD_ID = {"linkedin_id": ["Enter the id as digits only, without blanks or letters."]}
LONG_ID = {"linkedin_id": ["The id is too long: it has at most 19 digits."]}
BAD_EVENT = {
    "crm_event": [
        "Choose one of: lead_created, lead_qualified, deal_created, deal_won, deal_lost."
    ]
}


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({"linkedin_id": "104 012"}, BAD_ID),
        ({"linkedin_id": "abc"}, BAD_ID),
        ({"linkedin_id": "-104012"}, BAD_ID),
        ({"linkedin_id": "0"}, {"linkedin_id": ["The id can't begin with zero."]}),
        ({"linkedin_id": "1" * 20}, LONG_ID),
        ({"linkedin_id": "urn:li:llaPartnerConversion:104012"}, BAD_ID),
        ({"linkedin_id": "1" * 5000}, LONG_ID),
        ({"linkedin_id": ""}, {"linkedin_id": ["Enter a string that is not empty."]}),
        ({"linkedin_id": "1\x002"}, BAD_ID),
        ({"crm_event": "deal_dreamt"}, BAD_EVENT),
        ({"crm_event": "\ud800"}, BAD_EVENT),
        (
            {"frequency": "daily"},
            {"frequency": ["Choose one of: once, per_person, every_time."]},
        ),
        ({"name": ""}, {"name": ["Enter a string that is not empty."]}),
        ({"company": 1}, {"company": ["There is no such field."]}),
        ({"is_paused": False}, {"is_paused": ["This field is read-only."]}),
    ],
)
def test_bad_input_is_answered_with_400_and_nothing_is_written(client, data, errors):
    answer = client.generic(
        "POST", URL, json.dumps({**RULE, **data}), content_type="application/json"
    )

    assert answer.status_code == 400
    assert answer.json() == errors
    assert not ConversionRule.objects.exists()


TWICE = {
    "non_field_errors": [
        "An active rule sends this CRM event to this LinkedIn rule id already."
    ]
}


def test_two_active_rules_with_the_same_event_and_id_are_refused(client, rule):
    answer = client.post(URL, RULE)

    assert answer.status_code == 400
    assert answer.json() == TWICE
    assert ConversionRule.objects.count() == 1


def test_switching_the_second_one_on_is_refused_too(company, client, rule):
    second = ConversionRule.objects.create(company=company, is_active=False, **RULE)

    answer = client.patch(f"{URL}{second.pk}/", {"is_active": True})

    assert answer.status_code == 400
    assert answer.json() == TWICE
    second.refresh_from_db()
    assert not second.is_active


def test_the_neighbours_rule_with_the_same_event_and_id_is_in_nobodys_way(
    other_company, rule
):
    answer = caller(other_company).post(URL, RULE)

    assert answer.status_code == 201


def test_saving_a_rule_lets_it_go_on_where_linkedin_had_paused_it(client, rule):
    ConversionRule.objects.update(
        is_paused=True, paused_reason="rule_not_found", paused_message="No such rule"
    )

    answer = client.patch(f"{URL}{rule.pk}/", {"linkedin_id": "104013"})

    rule.refresh_from_db()
    assert (answer.json()["is_paused"], answer.json()["paused_reason"]) == (False, "")
    assert (rule.linkedin_id, rule.is_paused, rule.paused_message) == (
        "104013",
        False,
        "",
    )


def test_a_rule_that_was_made_catches_what_happens_next(company, client):
    client.post(URL, {**RULE, "crm_event": "lead_created"})

    caller(company, "sales").post(
        "/api/v1/leads/", {"first_name": "Ada", "email": "ada@example.com"}
    )

    event = ConversionEvent.objects.get()
    assert (event.company, event.state, event.lead.first_name) == (
        company,
        "pending",
        "Ada",
    )


def test_a_deleted_rule_is_gone_and_its_log_stays(company, client, rule):
    make_lead(company)
    event = ConversionEvent.objects.create(company=company, rule=rule)

    answer = client.delete(f"{URL}{rule.pk}/")

    assert answer.status_code == 204
    assert client.get(f"{URL}{rule.pk}/").status_code == 404
    assert client.get(URL).json()["results"] == []
    assert (
        client.get(f"/api/v1/conversion-events/{event.pk}/").json()["rule"] == rule.pk
    )


OPERATIONS = [
    ("GET", URL, None, 200, ADMIN_AND_OPS),
    ("GET", URL + "{}/", None, 200, ADMIN_AND_OPS),
    ("POST", URL, {**RULE, "linkedin_id": "7"}, 201, ADMIN_ONLY),
    ("PUT", URL + "{}/", {**RULE, "linkedin_id": "7"}, 200, ADMIN_ONLY),
    ("PATCH", URL + "{}/", {"linkedin_id": "7"}, 200, ADMIN_ONLY),
    ("DELETE", URL + "{}/", None, 204, ADMIN_ONLY),
]


def everything():
    return list(ConversionRule.objects.order_by("pk").values())


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
@pytest.mark.parametrize(("method", "path", "body", "success", "may"), OPERATIONS)
def test_a_role_may_what_the_matrix_says_and_no_more(
    company, rule, method, path, body, success, may, role
):
    before = everything()

    answer = call(caller(company, role), method, path.format(rule.pk), body)

    assert answer.status_code == (success if may[role] else 403)
    assert (everything() != before) is (may[role] and method != "GET")


@pytest.mark.parametrize(("method", "path", "body", "success", "may"), OPERATIONS)
def test_a_stranger_may_nothing(rule, method, path, body, success, may):
    before = everything()

    answer = call(APIClient(), method, path.format(rule.pk), body)

    assert answer.status_code == 401
    assert everything() == before


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_the_neighbours_rule_is_not_found_and_stays_as_it_is(
    other_company, rule, method
):
    before = everything()
    body = {**RULE, "name": "Mallory"} if method in ("PUT", "PATCH") else None

    answer = call(caller(other_company), method, f"{URL}{rule.pk}/", body)

    assert answer.status_code == 404
    assert "Won deals" not in answer.text
    assert everything() == before


def test_a_list_shows_the_companys_own_alone_and_costs_the_same_however_long_it_is(
    company, other_company, rule, client, django_assert_num_queries
):
    client.get(URL)  # notes the use of the key
    theirs = ConversionRule.objects.create(company=other_company, **RULE)
    for number in range(1, 20):
        ConversionRule.objects.create(
            company=company, crm_event="deal_won", linkedin_id=str(number), name="Won"
        )

    with django_assert_num_queries(2):  # the key and its company, the rules
        answer = client.get(URL)

    ids = [row["id"] for row in answer.json()["results"]]
    assert len(ids) == 20
    assert theirs.pk not in ids
