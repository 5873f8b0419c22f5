"""The play icon: one test event through the same pipeline, ahead of the queue, with one attempt."""

import pytest

from capi import services
from capi.delivery.sent_hashes import hash_of
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent, ConversionRule
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_test_event_is_sent_with_an_address_that_belongs_to_nobody(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule("deal_won")

    event = services.send_test_event(rule=rule)
    send_all(company)

    event.refresh_from_db()
    assert (event.state, event.http_status, event.is_test, event.lead, event.deal) == (
        "accepted",
        201,
        True,
        None,
        None,
    )
    [element] = received(sandbox)
    assert sorted(element) == ["conversion", "conversionHappenedAt", "eventId", "user"]
    assert element["user"]["userIds"][0]["idValue"] == hash_of(
        event.last_attempt.sent_hashes, event.pk
    )
    assert event.event_id.startswith("lm-test-")


def test_two_presses_are_two_events(company, connected, sandbox, make_rule) -> None:
    rule = make_rule()

    for _ in range(2):
        services.send_test_event(rule=rule)
    send_all(company)

    assert states(company) == ["accepted", "accepted"]
    assert len({element["eventId"] for element in received(sandbox)}) == 2


def test_it_goes_ahead_of_the_queue(company, connected, sandbox, make_rule) -> None:
    rule = make_rule()
    make_lead(company)
    test = services.send_test_event(rule=rule)

    send_all(company)

    assert received(sandbox)[0]["eventId"] == test.event_id


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        (Fault(status=503, body=""), "exhausted", "server_trouble"),
        (Fault(status=429, body="{}"), "exhausted", "throttled"),
        (
            Fault(status=422, body='{"message":"ERROR :: /user :: odd","status":422}'),
            "rejected",
            "data_refused",
        ),
        (
            Fault(status=403, body='{"message":"No ad accounts found","status":403}'),
            "rejected",
            "rule_forbidden",
        ),
        (
            Fault(status=404, body='{"message":"No such rule","status":404}'),
            "rejected",
            "rule_not_found",
        ),
        (
            Fault(status=401, body='{"status":401,"code":"REVOKED_ACCESS_TOKEN"}'),
            "rejected",
            "token_refused",
        ),
        (
            Fault(status=426, body='{"status":426,"code":"NONEXISTENT_VERSION"}'),
            "rejected",
            "version_retired",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_it_gets_one_try_whatever_the_answer(
    fault, state, reason, company, connected, sandbox, make_rule
) -> None:
    event = services.send_test_event(rule=make_rule())
    sandbox.faults.add(fault)

    send_all(company)
    send_all(company)

    event.refresh_from_db()
    assert (event.state, event.reason, event.http_status) == (
        state,
        reason,
        fault.status,
    )
    assert (event.next_attempt_at, event.attempts) == (None, 1)
    assert len(requests_made(sandbox)) == 1


def test_it_goes_although_the_rule_and_the_connection_are_paused(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule(is_paused=True)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")
    make_lead(company)

    test = services.send_test_event(rule=rule)
    send_all(company)

    test.refresh_from_db()
    assert test.state == "accepted"
    assert ConversionEvent.objects.get(is_test=False).state == "pending"


def test_without_a_token_it_says_what_to_do_and_makes_nothing(
    company, make_rule
) -> None:
    rule = make_rule()

    with pytest.raises(
        services.NotConnected, match="Save an access token in step 1 first"
    ):
        services.send_test_event(rule=rule)

    assert not ConversionEvent.objects.exists()


def test_a_token_that_went_missing_meanwhile_ends_it_with_that_reason(
    company, connected, sandbox, make_rule
) -> None:
    event = services.send_test_event(rule=make_rule())
    services.remove_token(company=company)

    send_all(company)

    event.refresh_from_db()
    assert (event.state, event.reason) == ("rejected", "no_token")
    assert requests_made(sandbox) == []


def test_a_refused_test_pauses_what_a_refused_event_would_pause(
    company, connected, sandbox, make_rule
) -> None:
    services.send_test_event(rule=make_rule("lead_created", "403403"))
    send_all(company)
    assert ConversionRule.objects.get().paused_reason == "rule_forbidden"

    services.save_token(company=company, token="AQV-this-one-is-revoked")
    services.send_test_event(rule=make_rule("lead_qualified"))
    send_all(company)
    assert Connection.objects.get().paused_reason == "token_refused"

    services.save_token(company=company, token=TOKEN)
    assert not Connection.objects.get().is_paused
    assert not ConversionRule.objects.filter(is_paused=True).exists()
