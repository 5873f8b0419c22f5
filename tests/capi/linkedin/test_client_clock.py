"""Whatever the other side does, an exchange ends when its time is up."""

import socket
import time

import pytest

from capi.linkedin.decisions import TransportError
from tests.capi.linkedin.wire import CREATED, Wire, send


def assert_given_up_after(seconds, client, **request):
    started_at = time.monotonic()
    answer = send(client, **request)
    took = time.monotonic() - started_at

    assert (answer.status, answer.trouble, answer.body) == (
        None,
        TransportError.TIMED_OUT,
        b"",
    )
    assert answer.duration_ms == pytest.approx(took * 1000, abs=200)
    assert seconds * 0.95 <= took <= seconds + 1


def test_a_server_that_never_answers_is_given_up_in_time(client_for):
    with Wire(lambda connection, request: wire.hold()) as wire:
        assert_given_up_after(1, client_for(wire.url, timeout=1))


def test_headers_that_drip_are_given_up_in_time(client_for):
    with Wire(lambda connection, request: wire.drip(connection, CREATED)) as wire:
        assert_given_up_after(0.5, client_for(wire.url, timeout=0.5))


def test_a_body_that_drips_is_given_up_in_time(client_for):
    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        wire.drip(connection, b" " * 1000)

    with Wire(answer) as wire:
        assert_given_up_after(0.5, client_for(wire.url, timeout=0.5))


def test_chunks_without_end_are_given_up_in_time(client_for):
    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.drip(connection, b"1\r\n \r\n" * 1000, seconds=0.005)

    with Wire(answer) as wire:
        assert_given_up_after(0.5, client_for(wire.url, timeout=0.5))


def test_a_hundred_continues_without_end_are_given_up_in_time(client_for):
    with Wire(
        lambda connection, request: wire.drip(
            connection, b"HTTP/1.1 100 Continue\r\n\r\n" * 99, seconds=0.002
        )
    ) as wire:
        assert_given_up_after(0.5, client_for(wire.url, timeout=0.5))


def test_a_server_that_does_not_read_the_request_is_given_up_in_time(client_for):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        client = client_for(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.5)

        assert_given_up_after(0.5, client, body=b" " * 20_000_000)


def test_the_time_limit_holds_on_a_connection_that_is_used_again(client_for):
    def answer(connection, request):
        if len(wire.requests) == 1:
            connection.sendall(CREATED)
        else:
            wire.drip(connection, CREATED)

    with Wire(answer) as wire:
        client = client_for(wire.url, timeout=0.5)
        first = send(client)
        time.sleep(0.4)  # must not count against the second
        assert_given_up_after(0.5, client)

    assert (first.status, wire.accepted) == (201, 1)


def test_after_a_time_out_the_next_request_has_a_new_connection_and_all_of_its_time(
    client_for,
):
    def answer(connection, request):
        if len(wire.requests) == 1:
            wire.drip(connection, CREATED)
        else:
            time.sleep(1)
            connection.sendall(CREATED)

    with Wire(answer) as wire:
        client = client_for(wire.url, timeout=2)
        assert_given_up_after(2, client)
        second = send(client)

    assert (second.status, second.trouble) == (201, None)
    assert wire.accepted == 2
