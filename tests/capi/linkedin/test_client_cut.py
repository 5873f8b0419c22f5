"""A truncated answer never counts as a whole one."""

import gzip
import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capi.linkedin.client import MAX_BODY_BYTES
from capi.linkedin.decisions import TransportError
from tests.capi.linkedin.wire import (
    CREATED,
    Wire,
    keeping_alive,
    ok,
    reset,
    saying,
    send,
)


def test_a_refused_connection_is_unreachable(client_for):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"

    answer = send(client_for(url))

    assert (answer.status, answer.trouble) == (None, TransportError.UNREACHABLE)
    assert not answer.was_sent


def test_a_host_without_an_address_is_unreachable(client_for):
    answer = send(client_for("http://linkedin.invalid", timeout=20))

    assert (answer.status, answer.trouble) == (None, TransportError.UNREACHABLE)
    assert not answer.was_sent


@pytest.mark.parametrize("end", [socket.socket.close, reset])
def test_a_connection_that_ends_before_the_answer_is_unreachable_and_sent_once_only(
    client_for, end
):
    with Wire(lambda connection, request: end(connection)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble) == (None, TransportError.UNREACHABLE)
    assert answer.was_sent
    assert (wire.accepted, len(wire.requests)) == (1, 1)


@pytest.fixture
def noisy():
    """A server that answers with its `noise`, whatever that is, and closes the connection."""
    with Wire(
        lambda connection, request: saying(wire.noise)(connection, request)
    ) as wire:
        yield wire


CUT_ANSWERS = {
    "in the status line": b"HTTP/1.1 20",
    "after the status line's number": b"HTTP/1.1 201",
    "after the status line": b"HTTP/1.1 201 Created\r\n",
    "in the headers": b"HTTP/1.1 201 Created\r\nContent-Le",
    "after a header": b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n",
    "in the middle of the JSON": b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"elements":[{"sta',
    "before a body that was announced": b"HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}",
    "before the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
}


@pytest.mark.parametrize("data", CUT_ANSWERS.values(), ids=CUT_ANSWERS.keys())
def test_an_answer_that_ends_early_is_cut(client_for, data):
    with Wire(saying(data)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble, answer.body) == (
        None,
        TransportError.CUT,
        b"",
    )
    assert len(wire.requests) == 1


def test_an_answer_that_is_reset_in_its_body_is_cut(client_for):
    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{")
        time.sleep(0.5)  # by then, the client has read so far
        reset(connection)

    with Wire(answer) as wire:
        assert send(client_for(wire.url)).trouble is TransportError.CUT


UNREADABLE_ANSWERS = {
    "more body than announced": b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{} and more",
    "a body where none was announced": b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length in words": b"HTTP/1.1 201 Created\r\nContent-Length: two\r\n\r\n{}",
    "a negative length": b"HTTP/1.1 201 Created\r\nContent-Length: -2\r\n\r\n{}",
    "chunks of no length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "an unknown transfer coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{}",
    "a compressed body": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n"
    + gzip.compress(b"{}"),
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status that is no number": b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n",
    "a header line without end": b"HTTP/1.1 201 Created\r\nX: " + b"x" * 70_000,
    "headers without end": b"HTTP/1.1 201 Created\r\n" + b"X: y\r\n" * 200,
}


@pytest.mark.parametrize(
    "data", UNREADABLE_ANSWERS.values(), ids=UNREADABLE_ANSWERS.keys()
)
def test_an_answer_with_unreadable_framing_is_cut(client_for, data):
    with Wire(saying(data)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble, answer.body) == (
        None,
        TransportError.CUT,
        b"",
    )
    assert len(wire.requests) == 1


def test_after_an_answer_that_went_on_too_long_the_connection_is_not_used_again(
    client_for,
):
    def answer(connection, request):
        connection.sendall(
            CREATED + b"HTTP/1.1 403 Forbidden\r\n"
            if len(wire.requests) == 1
            else CREATED
        )

    with Wire(answer) as wire:
        client = client_for(wire.url)
        answers = [send(client), send(client)]

    assert [(answer.status, answer.trouble) for answer in answers] == [
        (None, TransportError.CUT),
        (201, None),
    ]
    assert wire.accepted == 2


@pytest.mark.parametrize(
    "length", [b"Content-Length: 10485760\r\n", b""], ids=["announced", "not announced"]
)
def test_an_answer_of_ten_megabytes_is_read_for_one_and_dropped(client_for, length):
    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 422 Unprocessable\r\n" + length + b"\r\n")
        for _ in range(160):
            connection.sendall(b" " * 65536)
            sent.append(65536)

    sent = []
    with Wire(answer) as wire:
        answer_to_it = send(client_for(wire.url, timeout=10))

    assert (answer_to_it.status, answer_to_it.trouble, answer_to_it.body) == (
        422,
        TransportError.TOO_LARGE,
        b"",
    )
    assert sum(sent) < 10_485_760


def test_an_answer_of_exactly_one_megabyte_is_whole(client_for):
    with Wire(keeping_alive(ok(b" " * MAX_BODY_BYTES))) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble, len(answer.body)) == (
        200,
        None,
        MAX_BODY_BYTES,
    )


SOUND = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\nX: y\r\n\r\n{"elements":[{}]}'
mangled = st.builds(
    lambda start, noise, end: SOUND[:start] + noise + SOUND[end:],
    st.integers(0, len(SOUND)),
    st.binary(max_size=12),
    st.integers(0, len(SOUND)),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mangled | st.binary(max_size=200))
def test_any_bytes_end_in_an_answer_and_only_whole_headers_in_a_status(
    client_for, noisy, data
):
    noisy.noise = data

    answer = send(client_for(noisy.url))

    assert (answer.status is None) == (
        answer.trouble is not None
    ) or answer.trouble is TransportError.REDIRECT
    assert answer.status is None or b"\n\r\n" in data or b"\n\n" in data
