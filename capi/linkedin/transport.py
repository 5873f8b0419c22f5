"""Connections with a time limit for the whole exchange, which also detect an incomplete answer.

The timeouts of requests and urllib3 are per read: a server that sends one byte a second keeps them waiting for ever.
Here each read and write waits at most for what is left of the whole exchange. So no timer has to kill anything, and
none can kill a later request on the same connection.

http.client accepts an answer that ends within its headers, and ignores bytes after the announced end. Both are detected
here.
"""

import http.client
import io
import socket
import ssl
from contextlib import suppress
from time import monotonic
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import create_urllib3_context, parse_url

from capi.linkedin import failpoints


class Watch:
    """The clock of the current exchange, and what was received of its answer."""

    def start(self, seconds: float) -> None:
        """Begin a new exchange that may take this many seconds."""
        self.started_at = monotonic()
        self.ends_at = self.started_at + seconds
        self.has_sent = False
        self.received_anything = False
        self.has_ended = False
        self.has_surplus = False
        self.is_peeking = False

    @property
    def is_over(self) -> bool:
        return monotonic() >= self.ends_at

    @property
    def elapsed_ms(self) -> int:
        return round((monotonic() - self.started_at) * 1000)

    def seconds_left(self) -> float:
        """How long a read or write may wait. Raises TimeoutError when the time is up."""
        left = self.ends_at - monotonic()
        if left <= 0:
            raise TimeoutError("The request took too long.")
        return left

    def note(self, count: int) -> None:
        """Record that `count` bytes were read; 0 means that the server has closed the connection."""
        self.received_anything = self.received_anything or count > 0
        self.has_ended = count == 0


class WatchedSocket(socket.socket):
    """A socket whose reads and writes observe the watch's time limit."""

    watch: Watch

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(0 if self.watch.is_peeking else self.watch.seconds_left())
        count = super().recv_into(*args, **kwargs)
        if count and not self.watch.received_anything:
            failpoints.reached("answer_begun")
        self.watch.note(count)
        return count

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.watch.seconds_left())
        self.watch.has_sent = True
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.watch.seconds_left())
        self.watch.has_sent = True
        super().sendall(*args, **kwargs)

    def makefile(self, *args: Any, **kwargs: Any) -> "AnswerReader":  # type: ignore[override]
        """What http.client reads an answer from, and closes at the answer's end."""
        return AnswerReader(super().makefile("rb", buffering=0), self)


class WatchedTlsSocket(WatchedSocket, ssl.SSLSocket):
    """The same over TLS, where `sendall` is a loop of `send`."""


class AnswerReader(io.BufferedReader):
    """Detects an answer that goes on after its end."""

    def __init__(self, raw: io.RawIOBase, sock: WatchedSocket) -> None:
        super().__init__(raw)
        self._sock = sock

    def close(self) -> None:
        if not self.closed and self._goes_on():
            self._sock.watch.has_surplus = True
            with suppress(OSError):
                # The pool notices, and opens a new connection next time.
                self._sock.shutdown(socket.SHUT_RDWR)
        super().close()

    def _goes_on(self) -> bool:
        watch = self._sock.watch
        watch.is_peeking = True
        try:
            return bool(self.peek(1))
        except (OSError, ValueError):  # no data, or closed already
            return False
        finally:
            watch.is_peeking = False


class WholeResponse(http.client.HTTPResponse):
    """Detects an answer that ended within its headers."""

    def __init__(self, sock: WatchedSocket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def begin(self) -> None:
        super().begin()
        if self._sock.watch.has_ended:
            raise http.client.IncompleteRead(b"")


class WatchedConnection(HTTPConnection):
    """One connection, opened within the watch's time limit, with at most `connect_timeout` for each address."""

    response_class = WholeResponse

    def __init__(
        self, *args: Any, watch: Watch, connect_timeout: float, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._watch = watch
        self._connect_timeout = connect_timeout

    def connect(self) -> None:
        self.sock = self._open()

    def _open(self) -> WatchedSocket:
        failure = OSError("The host name has no address.")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        ):
            sock = WatchedSocket(family, kind, protocol)
            sock.watch = self._watch
            try:
                self._connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                failpoints.reached("after_connect")
                return sock
        raise failure

    def send(self, data: Any) -> None:
        if failpoints.FOLDER and data[:1] == b"{":
            half = len(data) // 2
            super().send(data[:half])
            failpoints.reached("half_body_sent")
            super().send(data[half:])
            failpoints.reached("body_sent")
        else:
            super().send(data)

    def _connect(self, sock: WatchedSocket, address: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(min(self._connect_timeout, self._watch.seconds_left()))
        sock.connect(address)
        # For the TLS handshake, which follows.
        sock.settimeout(min(self._connect_timeout, self._watch.seconds_left()))


class WatchedTlsConnection(WatchedConnection, HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        assert self.ssl_context
        self.ssl_context.load_verify_locations(self.ca_certs)
        sock = self.ssl_context.wrap_socket(self._open(), server_hostname=self.host)
        assert isinstance(sock, WatchedTlsSocket)
        sock.watch = self._watch
        self.sock = sock
        self.is_verified = True


class WatchedPool(HTTPConnectionPool):
    ConnectionCls = WatchedConnection


class WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = WatchedTlsConnection


def pool_for(
    base_url: str, *, watch: Watch, connect_timeout: float
) -> HTTPConnectionPool:
    """A pool of one kept-alive, watched connection to the host of `base_url`."""
    url = parse_url(base_url)
    assert url.host
    if url.scheme != "https":
        return WatchedPool(
            url.host, url.port, watch=watch, connect_timeout=connect_timeout
        )
    context = create_urllib3_context()
    context.sslsocket_class = WatchedTlsSocket
    context.set_alpn_protocols(["http/1.1"])
    return WatchedTlsPool(
        url.host,
        url.port,
        ssl_context=context,
        watch=watch,
        connect_timeout=connect_timeout,
    )
