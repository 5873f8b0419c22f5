"""TLS: what holds for plain HTTP holds here too, and a server with a wrong certificate gets no byte of a request."""

import time

import pytest

from capi.linkedin.decisions import TransportError
from tests.capi.linkedin.wire import CREATED, Wire, keeping_alive, ok, send
from tests.slow_servers import (
    FRAMINGS,
    dripping,
    dripping_handshake,
    make_certificate,
    not_accepting,
    serving,
)

pytestmark = pytest.mark.covers("F37")


@pytest.fixture
def trusted(monkeypatch):
    """Returns a function that makes the machine trust the certificate at a path."""
    return lambda path: monkeypatch.setattr(
        "requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(path)
    )


def test_one_connection_carries_many_requests(client_for, tmp_path, trusted):
    certificate = make_certificate(tmp_path)
    trusted(certificate)

    with Wire(keeping_alive(ok(b"{}")), tls=serving(certificate)) as wire:
        client = client_for(wire.url)
        answers = [send(client) for _ in range(3)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"{}")] * 3
    assert wire.accepted == 1


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_an_answer_that_drips_is_given_up_in_time_however_it_is_framed(
    client_for, tmp_path, trusted, framing
):
    certificate = make_certificate(tmp_path)
    trusted(certificate)

    with dripping(framing, tls=serving(certificate)) as wire:
        started_at = time.monotonic()
        answer = send(client_for(wire.url, timeout=0.5))

    # An answer whose framing is not read at all (a gzip) is given up sooner.
    assert answer.trouble in (TransportError.TIMED_OUT, TransportError.CUT)
    assert answer.was_sent
    assert time.monotonic() - started_at <= 3


def test_a_handshake_that_drips_is_given_up_in_time(client_for):
    with dripping_handshake() as wire:
        started_at = time.monotonic()
        answer = send(client_for(wire.url.replace("http:", "https:"), timeout=0.5))

    assert answer.trouble is TransportError.TIMED_OUT
    assert not answer.was_sent
    assert 0.4 <= time.monotonic() - started_at <= 3


def test_a_connection_that_is_not_made_is_given_up_in_time(client_for):
    with not_accepting() as port:
        started_at = time.monotonic()
        answer = send(client_for(f"https://127.0.0.1:{port}", timeout=0.5))

    assert answer.trouble is TransportError.TIMED_OUT
    assert not answer.was_sent
    assert 0.4 <= time.monotonic() - started_at <= 3


def test_a_handshake_that_never_comes_is_given_up_in_time(client_for):
    with Wire(lambda connection, request: None) as wire:
        started_at = time.monotonic()
        answer = send(client_for(wire.url.replace("http:", "https:"), timeout=1))

    assert answer.trouble is TransportError.TIMED_OUT
    assert 0.9 <= time.monotonic() - started_at <= 5


def test_more_body_than_announced_is_cut(client_for, tmp_path, trusted):
    certificate = make_certificate(tmp_path)
    trusted(certificate)

    with Wire(keeping_alive(CREATED + b"more"), tls=serving(certificate)) as wire:
        answer = send(client_for(wire.url))

    assert answer.trouble is TransportError.CUT


@pytest.mark.parametrize(
    "flaw", [{"address": "127.0.0.2"}, {"days": -1}], ids=["another host's", "expired"]
)
def test_a_wrong_certificate_gets_no_byte_of_the_request(
    client_for, tmp_path, trusted, flaw
):
    certificate = make_certificate(tmp_path, **flaw)
    trusted(certificate)

    with Wire(keeping_alive(CREATED), tls=serving(certificate)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble) == (None, TransportError.UNREACHABLE)
    assert (wire.accepted, wire.requests, answer.was_sent) == (1, [], False)


def test_a_certificate_that_nobody_vouches_for_gets_no_byte_of_the_request(
    client_for, tmp_path
):
    certificate = make_certificate(tmp_path)

    with Wire(keeping_alive(CREATED), tls=serving(certificate)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble) == (None, TransportError.UNREACHABLE)
    assert (wire.accepted, wire.requests, answer.was_sent) == (1, [], False)
