"""The sandbox over a real socket."""

import json
import socket
import threading
import time

import pytest

from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer
from tests.capi.linkedin.sandbox.calling import Caller, recent, recent_rule
from tests.capi.linkedin.sandbox.speaking import HEADERS, PATH


def raw(port, request):
    """Send these bytes. Returns what comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer


def test_a_good_event_is_created_and_written_down(sandbox, caller):
    sent = recent()

    answer = caller.post(sent)

    assert answer == (201, b"")
    (entry,) = sandbox.ledger.tail(10)
    assert (entry.number, entry.elements, entry.status, entry.version) == (
        1,
        [sent],
        201,
        "202609",
    )


def test_the_answer_is_the_judges(caller):
    assert caller.post(recent(eventId=7)) == (
        422,
        b'{"message":"ERROR :: /eventId :: 7 cannot be coerced to String\\n","status":422}',
    )
    assert caller.post(recent(), Authorization="Bearer revoked")[0] == 401
    assert caller.post(recent_rule("403403")) == (
        403,
        b'{"message":"No ad accounts found","status":403}',
    )


def test_header_names_may_be_written_in_any_case(caller):
    assert caller.post(
        {"elements": [recent()]}, **{"x-RESTLI-method": "BATCH_CREATE"}
    ) == (
        200,
        b'{"elements":[{"status":201}]}',
    )


def test_one_connection_serves_many_requests_also_after_refusals(sandbox, caller):
    caller.post(recent())
    first = caller.connection.sock

    caller.post(b"not JSON")
    caller.post(recent_rule("503503"))
    status, _ = caller.post(recent())

    assert status == 201
    assert caller.connection.sock is first
    assert [entry.status for entry in sandbox.ledger.tail(10)] == [201, 503, 400, 201]


def test_the_gateway_error_header_goes_out(caller):
    caller.connection.request("POST", PATH, b"{}", {"Content-Type": "application/json"})

    response = caller.connection.getresponse()

    assert (response.status, response.headers["X-RestLi-Gateway-Error"]) == (
        400,
        "true",
    )
    assert json.loads(response.read())["code"] == "VERSION_MISSING"


def test_a_rule_that_never_answers_holds_the_connection_and_closes_it(sandbox):
    body = json.dumps(recent_rule("408408")).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nAuthorization: Bearer good\r\nLinkedIn-Version: 202609\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    started = time.monotonic()

    answer = raw(sandbox.port, head.encode() + body)

    assert (answer, sandbox.ledger.tail(1)[0].status) == (b"", None)
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(
    "length", ["", "Content-Length: x\r\n", "Transfer-Encoding: chunked\r\n"]
)
def test_a_post_without_a_length_is_refused_and_its_connection_closed(sandbox, length):
    answer = raw(
        sandbox.port, f"POST {PATH} HTTP/1.1\r\n{length}\r\n5\r\nhello\r\n".encode()
    )

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.1 411 Length Required"
    assert b"Connection: close" in head
    assert body == b'{"message":"Content-Length is required","status":411}'


def test_a_body_that_never_comes_to_its_end_counts_for_nothing(sandbox):
    with socket.create_connection(
        ("127.0.0.1", sandbox.port), timeout=10
    ) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nContent-Length: 100\r\n\r\n{{".encode()
        )
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(100)

    assert (answer, sandbox.ledger.tail(10)) == (b"", [])


def test_many_clients_at_once_are_all_answered(sandbox):
    statuses = []

    def send_some():
        with Caller(sandbox.port) as caller:
            statuses.extend(caller.post(recent())[0] for _ in range(20))

    threads = [threading.Thread(target=send_some) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [201] * 200
    assert sandbox.ledger.tail(1)[0].number == 200


def test_a_full_batch_goes_through(sandbox, caller):
    batch = [recent(eventId=f"lm-{number}") for number in range(5000)]

    status, body = caller.post({"elements": batch}, X_RestLi_Method="BATCH_CREATE")

    assert (status, json.loads(body)) == (200, {"elements": [{"status": 201}] * 5000})
    assert sandbox.ledger.tail(1)[0].elements == batch


def test_it_stops_at_once_though_a_request_is_being_held(tmp_path):
    sandbox = SandboxServer(
        "127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl"), hold_seconds=60
    ).start()
    with Caller(sandbox.port) as caller:
        caller.connection.request(
            "POST", PATH, json.dumps(recent_rule("408408")), HEADERS
        )
        while not sandbox.ledger.tail(1):
            time.sleep(0.01)
        started = time.monotonic()

        sandbox.stop()

    assert time.monotonic() - started < 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", sandbox.port), timeout=2)


def test_it_starts_again_on_the_same_port_and_goes_on_counting(sandbox):
    with Caller(sandbox.port) as caller:
        caller.post(recent())
    port = sandbox.port
    sandbox.stop()

    sandbox.start()

    with Caller(port) as caller:
        assert caller.post(recent()) == (201, b"")
    assert sandbox.ledger.tail(1)[0].number == 2


def test_a_taken_port_is_told(sandbox, tmp_path):
    second = SandboxServer(
        "127.0.0.1", sandbox.port, RequestLog(tmp_path / "second.jsonl")
    )

    with pytest.raises(OSError, match="in use"):
        second.start()
