"""TLS: what holds for plain HTTP holds here too, and a server with a wrong certificate gets no byte of a request."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from capi.linkedin.client import TransportError
from tests.capi.linkedin.wire import CREATED, Wire, keeping_alive, ok, send

pytestmark = pytest.mark.covers("F37")


def make_certificate(folder, *, address="127.0.0.1", days=1):
    """A self-signed certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "LinkedIn stand-in")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def serving(path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.fixture
def trusted(monkeypatch):
    """Returns a function that makes the machine trust the certificate at a path."""
    return lambda path: monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(path))


def test_one_connection_carries_many_requests(client_for, tmp_path, trusted):
    certificate = make_certificate(tmp_path)
    trusted(certificate)

    with Wire(keeping_alive(ok(b"{}")), tls=serving(certificate)) as wire:
        client = client_for(wire.url)
        answers = [send(client) for _ in range(3)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"{}")] * 3
    assert wire.accepted == 1


def test_a_dripping_answer_is_given_up_in_time(client_for, tmp_path, trusted):
    certificate = make_certificate(tmp_path)
    trusted(certificate)

    with Wire(lambda connection, request: wire.drip(connection, CREATED), tls=serving(certificate)) as wire:
        started_at = time.monotonic()
        answer = send(client_for(wire.url, timeout=1))

    assert answer.trouble is TransportError.TIMED_OUT
    assert 0.9 <= time.monotonic() - started_at <= 5


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


@pytest.mark.parametrize("flaw", [{"address": "127.0.0.2"}, {"days": -1}], ids=["another host's", "expired"])
def test_a_wrong_certificate_gets_no_byte_of_the_request(client_for, tmp_path, trusted, flaw):
    certificate = make_certificate(tmp_path, **flaw)
    trusted(certificate)

    with Wire(keeping_alive(CREATED), tls=serving(certificate)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble) == (None, TransportError.UNREACHABLE)
    assert (wire.accepted, wire.requests, answer.was_sent) == (1, [], False)


def test_a_certificate_that_nobody_vouches_for_gets_no_byte_of_the_request(client_for, tmp_path):
    certificate = make_certificate(tmp_path)

    with Wire(keeping_alive(CREATED), tls=serving(certificate)) as wire:
        answer = send(client_for(wire.url))

    assert (answer.status, answer.trouble) == (None, TransportError.UNREACHABLE)
    assert (wire.accepted, wire.requests, answer.was_sent) == (1, [], False)
