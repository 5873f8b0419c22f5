"""Answers that are not LinkedIn's: nothing is paused, rejected or accepted for them. Events are tried a few times."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from capi import services
from capi.delivery import backoff
from capi.delivery.retries import retryable
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import RestCause
from capi.selectors.explanations.explain import explain, explain_rest
from crm.models import Company, Lead
from tests.capi.conftest import received, requests_made, send_all, states, wait_is_over
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

BARE = Fault(status=400, body='{"message": "x"}')
PAGE = {
    "body": "<html><title>Forbidden</title></html>",
    "headers": {"Content-Type": "text/html"},
}
NOT_LINKEDINS = [
    BARE,
    Fault(status=400, **PAGE),
    Fault(status=401, body='{"message": "Unauthorized"}'),
    Fault(status=401, **PAGE),
    Fault(status=403, **PAGE),
    Fault(status=403, body='{"message": "Forbidden"}'),
    Fault(status=404, body='{"message": "no Route matched with those values"}'),
    Fault(status=405, body=""),
    Fault(status=407, body=""),
    Fault(status=422, body='{"message": "Index: 0, ERROR :: /user"}'),
    Fault(status=426, body="Upgrade Required", headers={"Content-Type": "text/plain"}),
    Fault(status=501, **PAGE),
    Fault(status=302, headers={"Location": "https://guest.example.com/"}),
    Fault(status=201, **PAGE),
    Fault(status=200, **PAGE),
]


@pytest.fixture
def rule(connected: Connection, make_rule: Any) -> ConversionRule:
    return make_rule()  # type: ignore[no-any-return]


def make_leads(company: Company, count: int) -> None:
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"lead{n}@example.com")
        for n in range(count)
    )


def send_again(company: Company) -> None:
    """End every wait, and work the lane."""
    Connection.objects.update(next_attempt_at=None)
    wait_is_over()
    send_all(company)


def log(*columns: str) -> list[Any]:
    return list(
        ConversionEvent.objects.order_by("pk").values_list(
            *columns, flat=len(columns) == 1
        )
    )


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "fault", NOT_LINKEDINS, ids=lambda fault: f"{fault.status} {fault.body}"
)
def test_it_ends_and_pauses_nothing_and_the_same_is_sent_again(
    company: Company, rule: ConversionRule, sandbox: Any, fault: Fault, count: int
) -> None:
    make_leads(company, count)
    sandbox.faults.add(fault)

    send_all(company)

    tried = [("pending", "unclear", 1, fault.status)] * count
    assert log("state", "reason", "attempts", "http_status") == tried
    assert not ConversionRule.objects.filter(is_paused=True).exists()
    assert not Connection.objects.filter(is_paused=True).exists()
    assert set(log("may_have_arrived")) == {fault.status in (200, 201)}
    first = sandbox.ledger.tail(1)[0].elements

    send_again(company)

    assert states(company) == ["accepted"] * count
    assert sandbox.ledger.tail(1)[0].elements == first


def test_it_is_tried_a_few_times_with_growing_waits_and_then_a_person_may_retry(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_lead(company)
    sandbox.faults.add(
        Fault(status=400, body='{"message": "x"}', times=backoff.UNCLEAR_TRIES)
    )
    waits: list[float] = []

    for _ in range(backoff.UNCLEAR_TRIES):
        send_again(company)
        due: datetime | None = ConversionEvent.objects.get().next_attempt_at
        waits += [(due - timezone.now()).total_seconds()] if due else []

    assert waits == [
        pytest.approx(wait, rel=0.25)
        for wait in (30, 120, 600, 1800, 3600, 7200, 14400)
    ]
    event = ConversionEvent.objects.get()
    assert (event.state, event.reason, event.attempts) == (
        "exhausted",
        "unclear",
        backoff.UNCLEAR_TRIES,
    )
    assert event.once_key == event.lead_id
    assert [each.obstacle for each in retryable(ConversionEvent.objects.all())] == [""]
    services.retry_events(company=company, pks=[event.pk])
    send_again(company)
    assert states(company) == ["accepted"]
    assert len({element["eventId"] for element in received(sandbox)}) == 1


def test_one_unclear_answer_after_two_days_of_trouble_ends_nothing(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_lead(company)
    sandbox.faults.add(
        Fault(status=503, times=backoff.UNCLEAR_TRIES),
        BARE,
        Fault(status=503),
        BARE,
        BARE,
    )

    found = []
    for _ in range(backoff.UNCLEAR_TRIES + 4):
        send_again(company)
        found += log("state", "http_status")

    assert found[-4:] == [
        ("pending", 400),
        ("pending", 503),
        ("pending", 400),
        ("exhausted", 400),
    ]


def test_in_the_middle_of_a_halving_it_stops_there_and_nothing_is_rejected_or_paused_for_it(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_leads(company, 4)
    unnamed = Fault(status=400, body='{"message": "Something is off.", "status": 400}')
    sandbox.faults.add(unnamed, BARE)  # the batch, and its first half

    send_all(company)

    assert requests_made(sandbox) == [400, 400]
    assert (
        log("state", "reason", "attempts")
        == [("pending", "unclear", 1)] * 2 + [("pending", "", 0)] * 2
    )
    assert not ConversionRule.objects.get().is_paused
    send_again(company)
    assert states(company) == ["accepted"] * 4


def test_of_a_halving_that_it_stopped_what_linkedin_has_said_by_then_holds(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_leads(company, 4)
    unnamed = Fault(status=400, body='{"message": "Something is off.", "status": 400}')
    odd = Fault(status=422, body='{"message": "ERROR :: /user :: odd", "status": 422}')
    # The batch; its first half, which is accepted; its second half; the third event, rejected; the fourth.
    sandbox.faults.add(unnamed, Fault(), unnamed, odd, BARE)

    send_all(company)

    assert log("state", "reason") == [
        ("accepted", ""), ("accepted", ""), ("rejected", "data_refused"), ("pending", "unclear")
    ]  # fmt: skip


def test_a_probe_that_gets_no_answer_of_linkedins_blames_no_rule(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_leads(company, 16)
    unnamed = Fault(
        status=400, body='{"message": "Something is off.", "status": 400}', times=7
    )
    sandbox.faults.add(unnamed, Fault(status=403, **PAGE))

    send_all(company)

    assert requests_made(sandbox) == [400] * 7 + [403]
    assert set(log("state")) == {"pending"}
    assert not ConversionRule.objects.get().is_paused


def test_the_page_says_who_answers_and_what_to_do(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_lead(company)
    sandbox.faults.add(Fault(status=403, times=2, **PAGE))
    send_all(company)

    trying = explain(ConversionEvent.objects.get(), Connection.objects.get())
    ConversionEvent.objects.update(attempts=100)
    send_again(company)
    ended = explain(ConversionEvent.objects.get(), Connection.objects.get())

    assert (trying.label, trying.tone) == ("Retrying", "wait")
    assert "does not look like LinkedIn's" in trying.what
    assert "retried for about eight hours" in trying.next_step
    assert (ended.label, ended.tone, ended.what) == ("Gave up", "bad", trying.what)
    assert (
        ended.next_step
        == "Ask the operator of LeadMachine to check the network to LinkedIn, then retry the event."
    )
    assert ConversionEvent.objects.get().last_attempt.message == "Forbidden"


def test_a_long_rest_says_so_too(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_lead(company)
    sandbox.faults.add(Fault(status=403, **PAGE))
    send_all(company)
    Connection.objects.update(resting_since=timezone.now() - timedelta(hours=1))
    lane = Connection.objects.get()

    words = explain_rest(lane, timezone.now())

    assert lane.rest_cause == RestCause.UNCLEAR
    assert words is not None
    assert "Something on the way responds instead of LinkedIn" in words.what
    assert words.topic == "reason-unclear"


def test_a_retry_after_of_something_in_between_makes_no_company_rest_for_a_day(
    company: Company, rule: ConversionRule, sandbox: Any
) -> None:
    make_lead(company)
    sandbox.faults.add(
        Fault(status=403, body="<html>", headers={"Retry-After": "86400"})
    )

    send_all(company)

    due = ConversionEvent.objects.get().next_attempt_at
    assert due is not None
    assert due - timezone.now() < timedelta(minutes=1)
    lane = Connection.objects.get()
    assert lane.next_attempt_at is not None
    assert lane.next_attempt_at - timezone.now() < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("linkedin_id", "status"), [("201999", 201), ("400999", 400), ("403999", 403)]
)
def test_a_test_event_ends_and_says_so(company: Company, connected: Connection, make_rule: Any, sandbox: Any,
                                       linkedin_id: str, status: int) -> None:  # fmt: skip
    rule = make_rule(linkedin_id=linkedin_id)
    services.send_test_event(rule=rule)

    send_all(company)

    event = ConversionEvent.objects.get()
    assert (event.state, event.reason, event.http_status) == (
        "exhausted",
        "unclear",
        status,
    )
    assert explain(event, None).next_step == (
        "Ask the operator of LeadMachine to check the network to LinkedIn, then press play again."
    )
    assert not ConversionRule.objects.get().is_paused


def test_a_proxys_401_keeps_the_token(
    company: Company, sandbox: Any, make_rule: Any
) -> None:
    services.save_token(company=company, token=f"{TOKEN}-proxied")
    make_rule()
    make_lead(company)

    send_all(company)

    assert log("state", "reason", "http_status") == [("pending", "unclear", 401)]
    assert not Connection.objects.get().is_paused


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("linkedin_id", ["400400", "403403", "404404", "426426"])
def test_linkedins_own_refusal_still_acts_at_once(
    company: Company,
    connected: Connection,
    make_rule: Any,
    sandbox: Any,
    linkedin_id: str,
    count: int,
) -> None:
    make_rule(linkedin_id=linkedin_id)
    make_leads(company, count)

    send_all(company)

    is_rule_paused = ConversionRule.objects.get().is_paused
    assert is_rule_paused or Connection.objects.get().is_paused
    assert requests_made(sandbox) == [int(linkedin_id[:3])]
    assert set(log("state", "attempts")) == {("pending", 0)}
