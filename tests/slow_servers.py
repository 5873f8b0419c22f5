"""Servers that take for ever: each way in which an HTTP answer can be framed, byte by byte, and what comes before."""

import gzip
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.capi.linkedin.wire import Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LONG = b"[" + b" " * 100_000 + b"]"


@dataclass(frozen=True)
class Framing:
    """What is sent at once, and what follows byte by byte."""

    head: bytes
    rest: bytes = b" " * 1000


FRAMINGS = {
    "length": Framing(OK + b"Content-Length: 1000\r\n\r\n"),
    "length and close": Framing(
        OK + b"Connection: close\r\nContent-Length: 1000\r\n\r\n"
    ),
    "chunked": Framing(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 200),
    "chunked and close": Framing(
        OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n" * 200,
    ),
    "one chunk": Framing(OK + b"Transfer-Encoding: chunked\r\n\r\n3E8\r\n"),
    "size of a chunk": Framing(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000),
    "trailers": Framing(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 100
    ),
    "until it closes": Framing(OK + b"\r\n"),
    "said to close": Framing(OK + b"Connection: close\r\n\r\n"),
    "HTTP/1.0": Framing(b"HTTP/1.0 200 OK\r\n\r\n"),
    "HTTP/1.0 with a length": Framing(
        b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n"
    ),
    "interim": Framing(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
    "headers": Framing(OK, b"X-A: b\r\n" * 90),
    "one header": Framing(OK + b"X-A: "),
    "status": Framing(b"HTTP/1.1 200 "),
    "gzip": Framing(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(LONG)),
    "gzip with a length": Framing(
        OK + b"Content-Encoding: gzip\r\nContent-Length: 300\r\n\r\n",
        gzip.compress(LONG),
    ),
}


@contextmanager
def dripping(framing: Framing, *, tls: ssl.SSLContext) -> Iterator[Wire]:
    """A server that answers in this framing, and never comes to an end."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(framing.head)
        wire.drip(connection, framing.rest)
        wire.hold()

    with Wire(answer, tls=tls) as wire:
        yield wire


@contextmanager
def dripping_handshake() -> Iterator[Wire]:
    """A server that begins a TLS record of 16 kB, and goes on with it byte by byte."""

    def answer(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"\x16\x03\x03\x40\x00")
        wire.drip(connection, bytes(1000))

    with RawWire(answer) as wire:
        yield wire


class RawWire(Wire):
    """`answer(connection)` gets each connection as it is."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        super().__init__(lambda connection, request: None)
        self._take = answer

    def _read(self, connection: socket.socket) -> bytes:
        self._take(connection)
        return b""


@contextmanager
def not_accepting() -> Iterator[int]:
    """The port of a server whose queue is full: a connection to it is not refused, and never made."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


def make_certificate(
    folder: Path, *, address: str = "127.0.0.1", days: int = 1
) -> Path:
    """A self-signed certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def serving(path: Path) -> ssl.SSLContext:
    """What a server with this certificate needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
