from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from capi import services
from capi.delivery.sent_hashes import pack_hashes
from capi.models import (
    Attempt,
    Connection,
    ConversionEvent,
    ConversionRule,
    EarlierAttempt,
)
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import STATES
from tests.conftest import TOKEN, make_deal, make_lead
from tests.crm.api.calling import ADMIN_AND_OPS, call, caller

URL = "/api/v1/conversion-events/"
NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


@pytest.fixture
def client(company):
    return caller(company, "ops")


@pytest.fixture
def rule(company):
    services.save_token(company=company, token=TOKEN)
    return make_rule(company)


def make_rule(company):
    return ConversionRule.objects.create(
        company=company,
        crm_event="lead_created",
        linkedin_id="104012",
        name="New leads",
    )


def attempt(rule, **fields):
    return Attempt.objects.create(
        company=rule.company,
        rule=rule,
        linkedin_id="104012",
        api_version="202609",
        started_at=NOON,
        **fields,
    )


def accepted(rule):
    """Ada's lead_created, sent at the second attempt."""
    event = ConversionEvent.objects.get(crm_event__lead=make_lead(rule.company))
    EarlierAttempt.objects.create(
        event=event,
        attempt=attempt(rule, http_status=503, duration_ms=40, message="Busy"),
    )
    last = attempt(
        rule,
        http_status=201,
        duration_ms=120,
        sent_hashes=pack_hashes([(event.pk, "f" * 64)]),
    )
    ConversionEvent.objects.filter(pk=event.pk).update(
        state="accepted",
        attempts=2,
        http_status=201,
        next_attempt_at=None,
        last_attempt=last,
    )
    event.refresh_from_db()
    return event


def words(catalogued):
    return {
        "label": catalogued.label,
        "what": catalogued.what,
        "next_step": catalogued.next_step,
    }


def test_an_event_is_shown_in_full_with_its_attempts_oldest_first(rule, client):
    event = accepted(rule)

    answer = client.get(f"{URL}{event.pk}/")

    assert answer.json() == {
        "id": event.pk,
        "event_id": event.event_id,
        "rule": rule.pk,
        "crm_event": "lead_created",
        "lead": event.lead_id,
        "deal": None,
        "happened_at": event.happened_at.isoformat().replace("+00:00", "Z"),
        "state": "accepted",
        "reason": "",
        "words": words(STATES["accepted"]),
        "message": "",
        "attempts": 2,
        "http_status": 201,
        "next_attempt_at": None,
        "is_test": False,
        "attempt_log": [
            {
                "started_at": "2026-11-03T12:00:00Z",
                "duration_ms": 40,
                "event_count": 1,
                "linkedin_id": "104012",
                "api_version": "202609",
                "http_status": 503,
                "code": "",
                "message": "Busy",
            },
            {
                "started_at": "2026-11-03T12:00:00Z",
                "duration_ms": 120,
                "event_count": 1,
                "linkedin_id": "104012",
                "api_version": "202609",
                "http_status": 201,
                "code": "",
                "message": "",
            },
        ],
    }


def test_neither_the_address_nor_its_hash_nor_the_token_is_shown(rule, client):
    event = accepted(rule)

    shown = client.get(f"{URL}{event.pk}/").text + client.get(URL).text

    assert event.event_id in shown
    assert "ada@example.com" not in shown
    assert "f" * 64 not in shown
    assert TOKEN not in shown


def test_a_deals_event_names_its_deal(company, client, rule):
    ConversionRule.objects.create(
        company=company, crm_event="deal_created", linkedin_id="104013", name="Deals"
    )

    deal = make_deal(make_lead(company))

    row = client.get(URL, {"deal": deal.pk}).json()["results"][0]
    assert (row["crm_event"], row["lead"], row["deal"]) == (
        "deal_created",
        deal.lead_id,
        deal.pk,
    )


def test_what_holds_an_event_back_is_said_in_the_words_of_the_pages(
    company, client, rule
):
    make_lead(company)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    row = client.get(URL).json()["results"][0]

    assert (row["state"], row["words"]) == ("pending", words(REASONS["token_refused"]))


def test_a_test_event_is_marked_and_belongs_to_no_crm_event(client, rule):
    services.send_test_event(rule=rule)

    row = client.get(URL).json()["results"][0]

    assert (row["is_test"], row["crm_event"], row["lead"]) == (True, None, None)


def test_events_are_found_by_rule_lead_and_state(company, client, rule):
    sent, queued = (
        accepted(rule),
        ConversionEvent.objects.get(lead=make_lead(company, email="grace@example.com")),
    )

    def found(**query):
        return [row["id"] for row in client.get(URL, query).json()["results"]]

    assert found() == [queued.pk, sent.pk]
    assert found(state="accepted") == [sent.pk]
    assert found(lead=queued.lead_id) == [queued.pk]
    assert found(rule=rule.pk) == [queued.pk, sent.pk]
    assert found(rule=rule.pk + 1) == []
    assert found(deal=1) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "sent"),
        ("state", ""),
        ("rule", ""),
        ("lead", "x"),
        ("lead", "9" * 30),
        ("rule", "-1"),
        ("rule", "1.5"),
        ("deal", "NaN"),
    ],
)
def test_a_filter_that_makes_no_sense_is_answered_with_400(client, name, value):
    answer = client.get(URL, {name: value})

    assert answer.status_code == 400
    assert list(answer.json()) == [name]


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
@pytest.mark.parametrize("path", [URL, URL + "{}/"])
def test_a_role_may_what_the_matrix_says_and_no_more(company, rule, path, role):
    event = accepted(rule)

    answer = caller(company, role).get(path.format(event.pk))

    assert answer.status_code == (200 if ADMIN_AND_OPS[role] else 403)


@pytest.mark.parametrize("path", [URL, URL + "{}/"])
def test_a_stranger_may_nothing(rule, path):
    event = accepted(rule)

    answer = APIClient().get(path.format(event.pk))

    assert answer.status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [URL, URL + "{}/"])
def test_nobody_writes_events(company, rule, path, method):
    event = accepted(rule)

    answer = call(caller(company), method, path.format(event.pk), {"state": "pending"})

    assert answer.status_code == 405
    event.refresh_from_db()
    assert event.state == "accepted"


def test_the_neighbours_events_are_not_found_not_listed_and_not_filtered_for(
    other_company, rule
):
    event = accepted(rule)
    client = caller(other_company)

    assert client.get(f"{URL}{event.pk}/").status_code == 404
    for query in ({}, {"rule": rule.pk}, {"lead": event.lead_id}):
        assert client.get(URL, query).json()["results"] == []


def test_a_list_costs_the_same_however_long_it_is(
    company, client, rule, django_assert_num_queries
):
    client.get(URL)  # notes the use of the key
    for number in range(20):
        make_lead(company, email=f"ada{number}@example.com")

    # The key and its company, the events, the connection.
    with django_assert_num_queries(3):
        answer = client.get(URL)

    assert len(answer.json()["results"]) == 20


def test_one_event_costs_the_same_however_many_attempts_it_took(
    client, rule, django_assert_num_queries
):
    event = accepted(rule)
    client.get(URL)  # notes the use of the key
    for _ in range(5):
        EarlierAttempt.objects.create(
            event=event, attempt=attempt(rule, http_status=503)
        )

    # The key, the event, the connection, its earlier attempts, its last.
    with django_assert_num_queries(5):
        answer = client.get(f"{URL}{event.pk}/")

    assert len(answer.json()["attempt_log"]) == 7
