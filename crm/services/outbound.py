"""Requests to addresses that people enter: only to the internet, over HTTPS, and never for long.

An address that someone enters could be in our own network: a database, a cloud's metadata service. So each host is
resolved once, all its addresses have to be public, and the connection goes to the address that was checked. A second
look-up could return another one.
"""

import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

import requests
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

TIMEOUT_SECONDS: Final = 3  # for the look-up of the name, each connection attempt and each read
EXCHANGE_SECONDS: Final = 5.0  # from the connection to the last byte
AT_A_TIME: Final = 3  # per process: a slow host must not block all of its threads
MAX_BYTES: Final = 512_000  # Microsoft's keys, the longest of the usual responses, take 20,000
# They contain an IPv4 address to which a gateway may forward: NAT64, 6to4 and Teredo.
TUNNELS: Final = [ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


_slots = threading.BoundedSemaphore(AT_A_TIME)


class NotPublic(OSError):
    """The host has an address that is not on the internet."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for an address on the internet. With `OUTBOUND_TO_LOOPBACK` this machine counts as well."""
    address = getattr(address, "ipv4_mapped", None) or address
    if settings.OUTBOUND_TO_LOOPBACK and address.is_loopback:
        return True
    is_tunnel = any(address in each for each in TUNNELS if each.version == address.version)
    return address.is_global and not address.is_multicast and not is_tunnel


class SocketDeadline:
    """Shuts the socket down after some seconds, whatever happens on it then, including a TLS handshake.

    Timeouts apply to each read: at a byte a second, a response could go on for ever.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        # A duplicate, because TLS detaches the original socket.
        self._handle = sock.dup()
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()
        self._handle.close()

    def _shut_down(self) -> None:
        with suppress(OSError):  # already closed
            self._handle.shutdown(socket.SHUT_RDWR)
        self._handle.close()


class GuardedConnection(HTTPConnection):
    """Replaces the connection of urllib3 (2.8), and connects only to checked addresses."""

    _deadline: SocketDeadline | None = None

    def _new_conn(self) -> socket.socket:
        targets = _look_up(self.host, self.port)
        if not all(is_public(ip_address(str(target[4][0]).partition("%")[0])) for target in targets):
            raise NotPublic(f"{self.host} is not on the internet.")
        sock = _connect(targets)
        self._deadline = SocketDeadline(sock, EXCHANGE_SECONDS)
        return sock

    def close(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        super().close()


def _look_up(host: str, port: int) -> list[Any]:
    """`socket.getaddrinfo` with a time limit, because the host's name server may never answer. Raises OSError."""
    found: Future[list[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.set_exception(error)
        except UnicodeError:
            found.set_exception(OSError(f"No host can be called {host}."))

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    return found.result(TIMEOUT_SECONDS)


def _connect(targets: list[Any]) -> socket.socket:
    failure = OSError("The host has no address.")
    for family, kind, protocol, _, address in targets:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(TIMEOUT_SECONDS)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


class GuardedTlsConnection(GuardedConnection, HTTPSConnection):
    """The same over TLS."""


class GuardedPool(urllib3.HTTPConnectionPool):
    ConnectionCls = GuardedConnection


class GuardedTlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = GuardedTlsConnection


class GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": GuardedPool, "https": GuardedTlsPool}


class GuardedSession(requests.Session):
    """Follows no redirect, reads no proxy or password from the environment, and at most MAX_BYTES of a response.

    Every failure is a `requests.RequestException`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.adapters.clear()
        self.mount("https://", GuardedAdapter())
        if settings.OUTBOUND_TO_LOOPBACK:
            self.mount("http://127.0.0.1:", GuardedAdapter())
            self.mount("http://localhost:", GuardedAdapter())

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if not _slots.acquire(timeout=TIMEOUT_SECONDS):
            raise requests.ConnectionError("Too many requests at a time.")
        try:
            return self._send(request, **kwargs)
        finally:
            _slots.release()

    def _send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        limits = {"stream": True, "timeout": TIMEOUT_SECONDS, "allow_redirects": False, "proxies": {}}
        response = super().send(request, **{**kwargs, **limits})
        try:
            response._content = response.raw.read(MAX_BYTES + 1, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise requests.ConnectionError(str(error)) from None
        finally:
            response.close()
        if response.is_redirect or len(response.content) > MAX_BYTES:
            raise requests.ConnectionError("The answer is a redirect, or too long.")
        return response


def get_json(url: str) -> Mapping[str, Any]:
    """The JSON object at this URL. Raises `requests.RequestException`."""
    with GuardedSession() as session:
        response = session.get(url, headers={"Accept": "application/json"})
    response.raise_for_status()
    answer = response.json()
    if not isinstance(answer, dict):
        raise requests.exceptions.InvalidJSONError("The answer is no JSON object.")
    return answer
