"""What each answer of LinkedIn does to the events, to their rule, to the connection and to the lane."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from capi import services
from capi.delivery import lane, pauses, sweep
from capi.delivery.sent_hashes import hash_of
from capi.linkedin import answers
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from crm.models import Lead
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

OTHER_TOKEN = "AQVsecondtokenthatisjustaslongandgood"


def make_leads(company, count: int) -> None:
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"lead{n}@example.com")
        for n in range(count)
    )


def event() -> ConversionEvent:
    return ConversionEvent.objects.get()


def forget_waiting() -> None:
    """End every wait of rows and lanes, as if its time had passed."""
    ConversionEvent.objects.pending().update(
        next_attempt_at=timezone.now() - timedelta(seconds=1)
    )
    Connection.objects.update(next_attempt_at=None)


def sizes(sandbox) -> list[int]:
    """The number of events in each request, oldest first."""
    return [len(entry.elements) for entry in sandbox.ledger.tail(100)[::-1]]


# --- accepted -----------------------------------------------------------------------------------------------


def test_one_event_goes_as_a_single_post_and_is_settled(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)

    turn = send_all(company)

    sent, attempt = event(), Attempt.objects.get()
    assert (sent.state, sent.http_status, sent.attempts, sent.next_attempt_at) == (
        "accepted",
        201,
        1,
        None,
    )
    assert sent.settled_at is not None
    assert sent.last_attempt == attempt
    carried = hash_of(attempt.sent_hashes, sent.pk)
    assert carried == received(sandbox)[0]["user"]["userIds"][0]["idValue"]
    assert (attempt.event_count, attempt.http_status, attempt.linkedin_id) == (
        1,
        201,
        "104012",
    )
    assert (turn.requests, turn.states["accepted"]) == (1, 1)
    assert [entry.batch for entry in sandbox.ledger.tail(5)] == [False]


def test_many_go_as_one_batch_and_a_backlog_as_several(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 4
    make_rule()
    make_leads(company, 9)

    send_all(company)

    assert states(company) == ["accepted"] * 9
    assert set(ConversionEvent.objects.values_list("http_status", flat=True)) == {201}
    assert [len(entry.elements) for entry in reversed(sandbox.ledger.tail(9))] == [
        4,
        4,
        1,
    ]
    assert len({element["eventId"] for element in received(sandbox)}) == 9


def test_a_request_holds_events_of_one_rule_only(
    company, connected, sandbox, make_rule
) -> None:
    make_rule("lead_created", "1")
    make_rule("lead_created", "2")
    make_leads(company, 3)

    send_all(company)

    per_request = [
        {element["conversion"] for element in entry.elements}
        for entry in sandbox.ledger.tail(5)
    ]
    assert sorted(map(sorted, per_request)) == [
        ["urn:lla:llaPartnerConversion:1"],
        ["urn:lla:llaPartnerConversion:2"],
    ]


def test_a_batch_answer_with_mixed_statuses_settles_each_event_by_its_own(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 4)
    elements = '{"elements":[{"status":201},{"status":400,"message":"odd"},{"status":500},{"status":201}]}'
    sandbox.faults.add(Fault(status=200, body=elements))

    send_all(company)

    assert states(company) == ["accepted", "rejected", "pending", "accepted"]
    assert list(
        ConversionEvent.objects.order_by("pk").values_list("http_status", flat=True)
    ) == [201, 400, 500, 201]
    rejected, retried = ConversionEvent.objects.order_by("pk")[1:3]
    assert (rejected.reason, rejected.message) == ("data_refused", "odd")
    assert (retried.attempts, retried.next_attempt_at > timezone.now()) == (1, True)


# --- the token ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    ["AQV-this-one-is-revoked", "AQV-this-one-is-expired", "AQV-this-one-is-invalid"],
)
def test_401_pauses_the_connection_and_a_new_token_sends_it_all(
    token, company, sandbox, make_rule
) -> None:
    services.save_token(company=company, token=token)
    make_rule()
    make_leads(company, 3)

    send_all(company)
    send_all(company)

    connection = Connection.objects.get()
    assert (connection.is_paused, connection.paused_reason) == (True, "token_refused")
    assert requests_made(sandbox) == [401]
    assert states(company) == ["pending"] * 3
    assert set(
        ConversionEvent.objects.values_list("attempts", "http_status", "reason")
    ) == {(0, 401, "token_refused")}

    services.save_token(company=company, token=TOKEN)
    send_all(company)

    assert states(company) == ["accepted"] * 3
    assert not Connection.objects.get().is_paused


def test_401_for_the_old_token_does_not_pause_the_new_one(
    company, sandbox, make_rule, monkeypatch
) -> None:
    services.save_token(company=company, token="AQV-this-one-is-revoked")
    make_rule()
    make_lead(company)
    send = lane.spend_request

    def save_meanwhile(*args: object, **kwargs: object) -> bool:
        monkeypatch.setattr(lane, "spend_request", send)
        paid = send(*args, **kwargs)
        services.save_token(company=company, token=OTHER_TOKEN)
        return paid

    monkeypatch.setattr(lane, "spend_request", save_meanwhile)
    send_all(company)

    assert requests_made(sandbox) == [401, 201]
    assert states(company) == ["accepted"]
    assert not Connection.objects.get().is_paused


def test_an_unreadable_token_pauses_the_connection_and_sends_nothing(
    company, connected, sandbox, make_rule, settings
) -> None:
    make_rule()
    make_lead(company)
    settings.TOKEN_KEYS = ["bGVhZG1hY2hpbmUtbGVhZG1hY2hpbmUtbGVhZG1hYzE="]

    send_all(company)

    connection = Connection.objects.get()
    assert (connection.is_paused, connection.paused_reason) == (
        True,
        "token_unreadable",
    )
    assert requests_made(sandbox) == []
    assert states(company) == ["pending"]


def test_a_removed_token_holds_everything(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    services.remove_token(company=company)
    make_lead(company)

    send_all(company)

    assert requests_made(sandbox) == []
    assert states(company) == ["pending"]
    assert sweep.due_companies() == []


# --- the rule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("linkedin_id", "status", "reason"),
    [
        ("403403", 403, "rule_forbidden"),
        ("404404", 404, "rule_not_found"),
        ("400400", 400, "rule_misconfigured"),
        ("400401", 400, "rule_misconfigured"),
    ],
)
@pytest.mark.parametrize("count", [1, 5])
def test_an_answer_about_the_rule_pauses_that_rule_alone(
    linkedin_id, status, reason, count, company, connected, sandbox, make_rule
) -> None:
    bad = make_rule("lead_created", linkedin_id)
    make_rule("lead_created", "104012")
    make_leads(company, count)

    send_all(company)

    bad.refresh_from_db()
    assert (bad.is_paused, bad.is_active, bad.paused_reason) == (True, True, reason)
    assert bad.paused_message
    held = ConversionEvent.objects.filter(rule=bad)
    assert set(held.values_list("state", "attempts", "http_status")) == {
        ("pending", 0, status)
    }
    assert ConversionEvent.objects.filter(state="accepted").count() == count
    assert sorted(code for code in requests_made(sandbox) if code) == sorted(
        [status, 201 if count == 1 else 200]
    )

    bad.linkedin_id = "104014"
    services.save_rule(rule=bad)
    send_all(company)

    assert states(company) == ["accepted"] * count * 2


def test_a_rule_mended_while_its_refusal_was_under_way_is_not_paused(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule("lead_created", "403403")
    stale = ConversionRule.objects.get(pk=rule.pk)
    ConversionRule.objects.filter(pk=rule.pk).update(linkedin_id="104012")

    assert not pauses.pause_rule(stale, "rule_forbidden", "No ad accounts found")
    assert not ConversionRule.objects.get().is_paused


# --- the data -----------------------------------------------------------------------------------------------


def test_422_rejects_a_single_event_and_frees_its_place(
    company, connected, sandbox, make_rule
) -> None:
    make_rule("lead_created", "422422")
    make_lead(company)

    send_all(company)

    rejected = event()
    assert (
        rejected.state,
        rejected.reason,
        rejected.http_status,
        rejected.attempts,
    ) == (
        "rejected",
        "data_refused",
        422,
        1,
    )
    assert rejected.message
    assert rejected.once_key is None
    assert requests_made(sandbox) == [422]


@pytest.mark.parametrize("bad", [[0], [2, 5], list(range(1, 10))])
def test_named_elements_are_rejected_and_the_rest_goes_with_one_more_request(
    bad, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 10)
    lines = "".join(
        f"Index: {index}, ERROR :: /user :: odd no {index}\\n" for index in bad
    )
    sandbox.faults.add(Fault(status=422, body=f'{{"message":"{lines}","status":422}}'))

    send_all(company)

    assert [state == "rejected" for state in states(company)] == [
        index in bad for index in range(10)
    ]
    assert states(company).count("accepted") == 10 - len(bad)
    assert len(requests_made(sandbox)) == 2
    assert (
        ConversionEvent.objects.filter(state="rejected")
        .first()
        .message.startswith("ERROR :: /user")
    )


def test_all_named_for_one_reason_is_the_rule(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 3)
    lines = "".join(
        f"Index: {index}, ERROR :: /conversion :: odd\\n" for index in range(3)
    )
    sandbox.faults.add(Fault(status=422, body=f'{{"message":"{lines}","status":422}}'))

    send_all(company)

    assert states(company) == ["pending"] * 3
    assert ConversionRule.objects.get().paused_reason == "rule_misconfigured"
    assert set(ConversionEvent.objects.values_list("attempts", flat=True)) == {0}


def test_a_rule_that_refuses_all_without_naming_anybody_is_found_and_burns_nothing(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 200)
    sandbox.faults.add(
        Fault(
            status=400, body='{"message":"Something is off.","status":400}', times=100
        )
    )

    send_all(company)

    assert states(company) == ["pending"] * 200
    assert ConversionRule.objects.get().paused_reason == "rule_misconfigured"
    assert len(requests_made(sandbox)) <= 15


def test_two_refused_for_different_reasons_are_two_bad_events(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 2)
    sandbox.faults.add(Fault(status=400, body='{"message":"Off.","status":400}'))
    sandbox.faults.add(
        Fault(status=400, body='{"message":"Odd address.","status":400}')
    )
    sandbox.faults.add(Fault(status=400, body='{"message":"Odd moment.","status":400}'))

    send_all(company)

    assert states(company) == ["rejected", "rejected"]
    assert not ConversionRule.objects.get().is_paused


def test_a_pair_refused_for_one_reason_is_not_the_rule_when_others_were_taken(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 4)
    off = '{"message":"Off.","status":400}'
    pair = '{"message":"Index: 0, ERROR :: /user :: odd\\nIndex: 1, ERROR :: /user :: odd\\n","status":422}'
    sandbox.faults.add(Fault(status=400, body=off))
    sandbox.faults.add(Fault())  # the first half is taken
    for body in (pair, pair, pair):
        sandbox.faults.add(Fault(status=422, body=body))

    send_all(company)

    assert states(company) == ["accepted", "accepted", "rejected", "rejected"]
    assert not ConversionRule.objects.get().is_paused


def limit_of(company) -> int | None:
    """The most bytes that a request of the company may have; None without a limit."""
    return Connection.objects.get(company=company).body_limit


def lengths(sandbox) -> list[int]:
    """The size of each request in bytes, oldest first."""
    entries = sandbox.ledger.tail(100)[::-1]
    bodies = [
        {"elements": entry.elements} if entry.batch else entry.elements[0]
        for entry in entries
    ]
    return [len(json.dumps(body, separators=(",", ":"))) for body in bodies]


TOO_LARGE = Fault(status=413, body="<html>too large</html>")


def test_413_for_a_large_body_sends_half_of_the_bytes_and_doubles_with_each_success(
    company, other_company, connected, sandbox, make_rule, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(answers, "LARGE_BODY_BYTES", 1000)
    services.save_token(company=other_company, token=OTHER_TOKEN)
    make_rule()
    make_rule(company=other_company)
    for each in (company, other_company):
        make_leads(each, 12)
    sandbox.faults.add(TOO_LARGE)

    send_all(company)
    send_all(other_company)

    refused, *taken, _ = lengths(sandbox)
    assert [taken[0] <= refused // 2, taken[1] <= refused] == [True, True]
    assert sizes(sandbox) == [12, 5, 7, 12]  # what one company learns is not another's
    assert states(company) == ["accepted"] * 12
    assert (limit_of(company), limit_of(other_company)) == (4 * (refused // 2), None)
    assert (
        f"413, because it had {refused:,} bytes. The next have at most {refused // 2:,} bytes"
        in caplog.text
    )


def test_the_limit_is_gone_once_it_is_more_than_a_full_batch_can_have(
    company, connected, sandbox, make_rule
) -> None:
    Connection.objects.update(body_limit=2**20)
    make_rule()
    for _ in range(2):
        make_lead(company)
        send_all(company)

    assert limit_of(company) is None


def test_413_for_two_events_is_a_gateways_bad_moment_and_teaches_no_size(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 2)
    sandbox.faults.add(TOO_LARGE)

    send_all(company)

    assert {(event.reason, event.state) for event in ConversionEvent.objects.all()} == {
        ("server_trouble", "pending")
    }
    assert limit_of(company) is None
    forget_waiting()
    make_leads(company, 3)
    send_all(company)
    assert sizes(sandbox) == [2, 5]
    assert states(company) == ["accepted"] * 5


def test_a_gateway_that_finds_every_size_too_large_is_waited_out_and_a_full_batch_comes_back(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(answers, "LARGE_BODY_BYTES", 1000)
    make_rule()
    make_leads(company, 20)
    sandbox.faults.add(*[TOO_LARGE] * 4)

    send_all(company)

    assert requests_made(sandbox) == [413] * 4
    assert [size >= 1000 for size in lengths(sandbox)] == [True, True, True, False]
    assert limit_of(company) >= 500
    forget_waiting()
    send_all(company)
    assert states(company) == ["accepted"] * 20
    assert max(sizes(sandbox)[4:]) > sizes(sandbox)[4]


# --- what only the operator can fix -------------------------------------------------------------------------


def told(caplog) -> list[tuple[str, str]]:
    return [
        (row.levelname, row.getMessage())
        for row in caplog.records
        if row.name == "capi.delivery.pauses"
    ]


def test_a_retired_version_is_told_in_the_log_once(
    company, other_company, connected, sandbox, make_rule, settings, caplog
) -> None:
    settings.LINKEDIN_API_VERSION = "202402"
    services.save_token(company=other_company, token=OTHER_TOKEN)
    rule = make_rule()
    make_lead(company)

    send_all(company)
    services.send_test_event(rule=rule)
    send_all(company)

    assert requests_made(sandbox) == [426, 426]
    ((level, text),) = told(caplog)
    assert level == "ERROR"
    assert (
        "version 202402 of its API: all sending is paused (companies: 2). Set LINKEDIN_API_VERSION"
        in text
    )


def test_a_refusal_that_is_about_nobodys_data_is_told_in_the_log_once_for_each_pause(
    company, connected, sandbox, make_rule, caplog
) -> None:
    rule = make_rule()
    make_lead(company)
    refusal = Fault(
        status=418,
        body=f'{{"message":"Not for ada@example.com with {TOKEN}","status":418}}',
        times=2,
    )
    sandbox.faults.add(refusal)

    send_all(company)
    send_all(company)
    once = told(caplog)
    services.resume_rule(rule=ConversionRule.objects.get())
    send_all(company)

    ((level, text),) = once
    assert level == "ERROR"
    assert f"rule {rule.pk} of company {company.pk}" in text
    assert "Not for" in text
    assert "ada@example.com" not in text
    assert TOKEN not in text
    assert told(caplog) == once * 2


@pytest.mark.parametrize("linkedin_id", ["403403", "404404", "400401"])
def test_what_an_admin_of_the_company_mends_is_no_line_in_the_log(
    linkedin_id, company, connected, make_rule, caplog
) -> None:
    make_rule(linkedin_id=linkedin_id)
    make_lead(company)

    send_all(company)

    assert ConversionRule.objects.get().is_paused
    assert told(caplog) == []


# --- the version --------------------------------------------------------------------------------------------


def test_426_holds_every_connection_until_the_version_changes(
    company, other_company, connected, sandbox, make_rule, settings
) -> None:
    settings.LINKEDIN_API_VERSION = "202402"
    services.save_token(company=other_company, token=OTHER_TOKEN)
    make_rule()
    make_lead(company)

    send_all(company)

    assert set(
        Connection.objects.values_list("is_paused", "paused_reason", "paused_version")
    ) == {(True, "version_retired", "202402")}
    assert (states(company), event().attempts) == (["pending"], 0)
    assert sweep.due_companies() == []

    settings.LINKEDIN_API_VERSION = "202609"
    assert sweep.due_companies() == [company.pk]
    send_all(company)

    assert states(company) == ["accepted"]
    assert not Connection.objects.filter(is_paused=True).exists()


# --- later --------------------------------------------------------------------------------------------------


def test_429_rests_the_lane_and_burns_no_attempt(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 2)
    sandbox.faults.add(Fault(status=429, body="{}", headers={"Retry-After": "7200"}))

    send_all(company)
    send_all(company)

    rest = Connection.objects.get().next_attempt_at - timezone.now()
    assert timedelta(seconds=7190) < rest <= timedelta(seconds=7201)
    assert requests_made(sandbox) == [429]
    assert set(ConversionEvent.objects.values_list("state", "attempts", "reason")) == {
        ("pending", 0, "throttled")
    }
    forget_waiting()
    send_all(company)
    assert states(company) == ["accepted"] * 2
    assert Connection.objects.get().failures_in_a_row == 0


def test_429_for_the_day_waits_for_midnight_utc(company, sandbox, make_rule) -> None:
    services.save_token(company=company, token="AQV-this-one-hit-the-daylimit")
    make_rule()
    make_lead(company)

    send_all(company)

    until = Connection.objects.get().next_attempt_at.astimezone(UTC)
    midnight = datetime.combine(
        timezone.now().astimezone(UTC).date() + timedelta(days=1),
        datetime.min.time(),
        UTC,
    )
    assert midnight <= until <= midnight + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html><title>Sign in to the guest network</title></html>"),
        (200, '{"status": 500}'),
        (200, '{"elements": []}'),
        (202, ""),
        (204, ""),
        (206, ""),
    ],
)
def test_one_event_whose_success_is_not_plain_is_not_sent_but_goes_again(
    status, body, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    sandbox.faults.add(Fault(status=status, body=body))

    send_all(company)

    tried = event()
    assert (tried.state, tried.attempts, tried.reason, tried.http_status) == (
        "pending",
        1,
        "unclear",
        status,
    )
    forget_waiting()
    send_all(company)
    assert states(company) == ["accepted"]
    first, again = received(sandbox)
    assert first["eventId"] == again["eventId"] == tried.event_id


@pytest.mark.parametrize(
    ("fault", "reason", "status"),
    [
        (Fault(status=500, body="{}"), "server_trouble", 500),
        (Fault(status=503, body="<html>busy</html>"), "server_trouble", 503),
        (Fault(status=408, body=""), "server_trouble", 408),
        (Fault(drop=Drop.BEFORE_BODY), "unreachable", None),
        (Fault(drop=Drop.AFTER_BODY), "unreachable", None),
        (Fault(cut_after=12), "answer_unreadable", None),
        (Fault(delay_ms=3000), "timed_out", None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_passing_failure_is_tried_again_with_the_same_element(
    fault, reason, status, company, connected, sandbox, make_rule, settings
) -> None:
    settings.SEND_TIMEOUT_SECONDS = 1 if fault.delay_ms else 10
    make_rule()
    make_lead(company)
    sandbox.faults.add(fault)

    send_all(company)

    tried = event()
    assert (tried.state, tried.attempts, tried.reason, tried.http_status) == (
        "pending",
        1,
        reason,
        status,
    )
    assert (
        timedelta(seconds=20)
        < tried.next_attempt_at - timezone.now()
        < timedelta(seconds=40)
    )
    assert Connection.objects.get().failures_in_a_row == 1
    forget_waiting()
    settings.SEND_TIMEOUT_SECONDS = 10
    send_all(company)

    sent = event()
    assert (sent.state, sent.attempts, sent.reason) == ("accepted", 2, "")
    assert [link.attempt.http_status for link in sent.earlier_attempts.all()] == [
        status
    ]
    assert (
        len(
            {
                str(element)
                for entry in sandbox.ledger.tail(9)
                for element in entry.elements
            }
        )
        == 1
    )


def test_an_event_waits_for_the_delay_after_each_failure_and_ends_after_the_last(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    sandbox.faults.add(Fault(status=503, body="", times=100))
    delays: list[float] = []

    while event().state == "pending":
        send_all(company)
        if event().next_attempt_at is not None:
            delays.append((event().next_attempt_at - timezone.now()).total_seconds())
        forget_waiting()

    assert delays[:3] == [pytest.approx(wanted, rel=0.25) for wanted in (30, 120, 600)]
    assert (event().state, event().reason, event().once_key) == (
        "exhausted",
        "server_trouble",
        event().lead_id,
    )
    assert event().attempts == len(delays) + 1


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"elements":[]}', "<html>", '{"elements":[{"status":201}]}'],
)
def test_a_batch_answer_that_cannot_be_read_is_never_taken_for_accepted(
    body, company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 2)
    sandbox.faults.add(Fault(status=200, body=body))

    send_all(company)

    assert set(ConversionEvent.objects.values_list("state", "reason")) == {
        ("pending", "unclear")
    }


def test_a_transient_failure_in_mid_hunt_leaves_the_rest_queued(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 4)
    named = '{"message":"Index: 0, ERROR :: /user :: odd\\n","status":422}'
    sandbox.faults.add(Fault(status=422, body=named))
    sandbox.faults.add(Fault(status=503, body=""))

    send_all(company)

    assert states(company) == ["pending"] * 4
    assert list(
        ConversionEvent.objects.order_by("pk").values_list("attempts", flat=True)
    ) == [0, 1, 1, 1]
