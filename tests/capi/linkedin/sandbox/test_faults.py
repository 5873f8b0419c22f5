"""Faults that a test scripts: what goes wrong on the wire, and what the ledger records of it."""

import http.client
import json
import time

import pytest

from capi.linkedin.sandbox.faults import Drop, Fault
from capi.linkedin.sandbox.server import CONTROL_BYTES, is_loopback
from tests.capi.linkedin.sandbox.calling import Caller, recent


def test_a_scripted_status_answers_so_many_requests_and_no_more(sandbox, caller):
    sandbox.faults.add(Fault(status=503, times=2))

    answers = [caller.post(recent()) for _ in range(3)]

    scripted = b'{"message":"Scripted by a test","status":503}'
    assert answers == [(503, scripted), (503, scripted), (201, b"")]
    assert [entry.fault for entry in sandbox.ledger.tail(3)] == [
        None,
        *[{"status": 503, "times": 2}] * 2,
    ]


def test_faults_are_met_in_the_order_in_which_they_were_scripted(sandbox, caller):
    sandbox.faults.add(
        Fault(status=500), Fault(status=429, headers={"Retry-After": "7"})
    )
    sandbox.faults.add(
        Fault(status=200, body='{"elements":[{"status":201},{"status":400}]}')
    )

    statuses = [caller.post(recent())[0] for _ in range(4)]

    assert statuses == [500, 429, 200, 201]


def test_a_scripted_header_goes_out(sandbox, caller):
    sandbox.faults.add(Fault(status=429, headers={"Retry-After": "7"}))
    caller.connection.request("POST", "/rest/conversionEvents", b"{}")

    response = caller.connection.getresponse()
    response.read()

    assert (response.status, response.headers["Retry-After"]) == (429, "7")


def test_a_body_alone_keeps_the_judges_status(sandbox, caller):
    sandbox.faults.add(Fault(body="[]"))

    assert caller.post(recent()) == (201, b"[]")


def test_a_delay_comes_after_the_request_is_written_down(sandbox, caller):
    sandbox.faults.add(Fault(delay_ms=300))
    started = time.monotonic()

    answer = caller.post(recent())

    waited = time.monotonic() - started
    assert (answer, waited >= 0.3) == ((201, b""), True)
    assert sandbox.ledger.tail(1)[0].fault == {"delay_ms": 300}


@pytest.mark.parametrize("drop", [Drop.BEFORE_BODY, Drop.AFTER_BODY])
def test_a_dropped_connection_gives_no_answer(sandbox, caller, drop):
    sandbox.faults.add(Fault(drop=drop))

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        caller.post(recent())

    assert caller.post(recent()) == (201, b"")


def test_what_was_dropped_before_its_body_does_not_count(sandbox, caller):
    sandbox.faults.add(Fault(drop=Drop.BEFORE_BODY))

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        caller.post(recent())

    (entry,) = sandbox.ledger.tail(10)
    assert (entry.elements, entry.status, entry.fault) == (
        [],
        None,
        {"drop": "before_body"},
    )


def test_what_was_dropped_after_its_body_counts(sandbox, caller):
    sent = recent()
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        caller.post(sent)

    (entry,) = sandbox.ledger.tail(10)
    assert (entry.elements, entry.status, entry.fault) == (
        [sent],
        201,
        {"drop": "after_body"},
    )


def test_an_answer_can_be_cut_in_its_status_line(sandbox, caller):
    sandbox.faults.add(Fault(cut_after=10))

    with pytest.raises(http.client.BadStatusLine):
        caller.post(recent())

    assert sandbox.ledger.tail(1)[0].status == 201


def test_an_answer_can_be_cut_in_its_body(sandbox, caller):
    sandbox.faults.add(
        Fault(status=200, body='{"elements":[{"status":201}]}', cut_after=-5)
    )

    with pytest.raises(http.client.IncompleteRead):
        caller.post(recent())


def test_a_length_that_is_not_true_goes_out_as_scripted(sandbox, caller):
    sandbox.faults.add(
        Fault(status=200, body="{}", headers={"Content-Length": "50"}, cut_after=1000)
    )

    with pytest.raises(http.client.IncompleteRead):
        caller.post(recent())


def test_an_answer_can_be_dripped_byte_by_byte(sandbox, caller):
    sandbox.faults.add(Fault(drip_ms=2))
    started = time.monotonic()

    answer = caller.post(recent())

    assert answer == (201, b"")
    assert time.monotonic() - started >= 0.2  # about 120 bytes


def test_another_process_scripts_faults_over_http(sandbox, caller):
    scripted = caller.script({"status": 503}, {"drop": "after_body", "times": 2})

    answer = caller.post(recent())
    assert (scripted, answer[0]) == ((204, b""), 503)
    for _ in range(2):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            caller.post(recent())
    assert [entry.path for entry in sandbox.ledger.tail(10)] == [
        "/rest/conversionEvents"
    ] * 3


def test_an_empty_list_empties_the_queue(caller):
    caller.script({"status": 503, "times": 9})

    caller.script()

    assert caller.post(recent()) == (201, b"")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([{"status": 500}, {"stauts": 503}], "A fault has no stauts."),
        ([[]], "A fault is a JSON object."),
        ({"drop": "sometimes"}, "'sometimes' is not a valid Drop"),
        (
            b"{",
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
    ],
)
def test_a_wrong_fault_is_refused_and_nothing_is_scripted(caller, wrong, said):
    status, body = caller.post(wrong, path="/_control")

    assert (status, json.loads(body)) == (400, {"message": said, "status": 400})
    assert caller.post(recent()) == (201, b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Host": "rebound.evil.example"}, 403),
        ({"Host": "rebound.evil.example:9"}, 403),
        ({"Content_Length": str(CONTROL_BYTES + 1)}, 413),
        ({"Content_Length": "9" * 5_000}, 413),
        ({"Content_Length": "-1"}, 411),
    ],
)
def test_no_page_of_a_browser_scripts_a_fault_and_no_body_fills_the_memory(
    sandbox, headers, status
):
    with Caller(sandbox.port) as other:
        answered, _ = other.post([{"status": 503}], path="/_control", **headers)

    assert answered == status
    with Caller(sandbox.port) as caller:
        assert caller.post(recent()) == (201, b"")


def test_a_fault_is_scripted_by_post_alone(sandbox, caller):
    caller.connection.request("GET", "/_control", b'{"status": 503}')

    assert caller.connection.getresponse().status == 405


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("10.0.0.1", False),
    ],
)
def test_this_machine_is_known_by_its_own_names(host, is_ours):
    assert is_loopback(host) is is_ours
