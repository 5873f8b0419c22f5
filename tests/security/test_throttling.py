"""S40, S06: the API answers 429 to callers who ask too often, and counts each caller of each company separately."""

from typing import Any

import pytest
from django.core.cache import cache

from crm.services import rate_limits
from tests.crm.api.calling import caller, with_key


@pytest.fixture(autouse=True)
def _three_a_minute(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3
    # Half a minute is left.
    monkeypatch.setattr(rate_limits.time, "time", lambda: 1_800_000_030.0)


def asked(client: Any) -> int:
    return client.get("/api/v1/leads/").status_code


def test_the_fourth_request_of_a_minute_is_told_when_to_come_again(
    company: Any,
) -> None:
    client = caller(company)

    answers = [client.get("/api/v1/leads/") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Retry-After"] == "30"
    assert answers[3].json() == {
        "detail": "Too many requests. Try again in 30 seconds."
    }


def test_the_next_minute_is_a_new_one(
    company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = caller(company)
    [asked(client) for _ in range(4)]

    monkeypatch.setattr(rate_limits.time, "time", lambda: 1_800_000_060.0)

    assert asked(client) == 200


def test_each_key_and_each_company_is_counted_for_itself(
    company: Any, other_company: Any
) -> None:
    ours, second, theirs = caller(company), caller(company), caller(other_company)

    [asked(ours) for _ in range(4)]

    assert [asked(client) for client in (ours, second, theirs)] == [429, 200, 200]


def test_all_keys_of_a_company_have_a_limit_together(
    company: Any, other_company: Any, settings: Any
) -> None:
    settings.API_COMPANY_PER_MINUTE = 5
    first, second, theirs = caller(company), caller(company), caller(other_company)

    answers = [asked(client) for client in (first, second) for _ in range(3)]

    assert answers == [200] * 5 + [429]
    assert asked(theirs) == 200


def test_what_one_key_asks_in_vain_leaves_the_others_their_share(
    company: Any, settings: Any
) -> None:
    settings.API_COMPANY_PER_MINUTE = 6
    first, second = caller(company), caller(company)

    [asked(first) for _ in range(10)]

    assert [asked(second) for _ in range(3)] == [200] * 3


def test_an_address_that_sends_wrong_keys_is_told_to_wait_and_a_right_one_works_there(
    company: Any,
) -> None:
    answers = [asked(with_key(f"lm_wrong{number}")) for number in range(22)]

    assert answers == [401] * 20 + [429] * 2
    assert with_key("lm_wrong").get("/api/v1/leads/").headers["Retry-After"] == "30"
    assert (
        with_key("lm_wrong")
        .get("/api/v1/leads/", REMOTE_ADDR="198.51.100.9")
        .status_code
        == 401
    )
    assert asked(caller(company)) == 200


def test_a_members_session_is_counted_by_company_too(
    client_as: Any, admin: Any, company: Any
) -> None:
    [asked(client_as(admin)) for _ in range(4)]

    assert asked(client_as(admin)) == 429
    assert (
        cache.get(f"api:{company.pk}:Membership:{admin.pk}:{1_800_000_030 // 60}") >= 4
    )


def test_whoever_is_not_let_in_costs_nobody_anything(company: Any, client: Any) -> None:
    answers = [client.get("/api/v1/leads/").status_code for _ in range(5)]

    assert answers == [401] * 5
