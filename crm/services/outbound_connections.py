"""Connections to hosts that people enter: only to the internet.

An address that someone enters could be in our own network: a database, a cloud's metadata service. So each host is
resolved once, all its addresses have to be public, and the connection goes to an address that was checked. A second
look-up could return another one.
"""

import socket
import ssl
import threading
from concurrent.futures import Future
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

import certifi
from django.conf import settings
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Url

from crm.services.deadlines import Deadline

STEP_SECONDS: Final = 3.0  # for the look-up of the name, and for connecting to each of its addresses
# They contain an IPv4 address to which a gateway may forward: NAT64, 6to4 and Teredo.
TUNNELS: Final = [ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


class NotPublic(OSError):
    """The host has an address that is not on the internet."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for an address on the internet. With `OUTBOUND_TO_LOOPBACK` this machine counts as well."""
    address = getattr(address, "ipv4_mapped", None) or address
    if settings.OUTBOUND_TO_LOOPBACK and address.is_loopback:
        return True
    is_tunnel = any(address in each for each in TUNNELS if each.version == address.version)
    return address.is_global and not address.is_multicast and not is_tunnel


@cache
def tls_context() -> ssl.SSLContext:
    """Verifies certificates and host names, by the authorities of certifi."""
    return ssl.create_default_context(cafile=certifi.where())


def pool_for(url: Url, deadline: Deadline) -> HTTPConnectionPool:
    """A pool for one exchange with the host of this URL, which connects to checked addresses and ends in time."""
    assert url.host
    kind = TlsPool if url.scheme == "https" else Pool
    return kind(url.host, url.port, deadline=deadline)


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address of the host that answers. Raises OSError."""
    targets = _look_up(host, port, min(STEP_SECONDS, deadline.seconds_left()))
    if not all(is_public(ip_address(str(target[4][0]).partition("%")[0])) for target in targets):
        raise NotPublic(f"{host} is not on the internet.")
    failure = OSError("The host has no address.")
    for family, kind, protocol, _, address in targets:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(STEP_SECONDS, deadline.seconds_left()))
            sock.connect(address)
            deadline.watch(sock)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _look_up(host: str, port: int, seconds: float) -> list[Any]:
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
    return found.result(seconds)


class Connection(HTTPConnection):
    """Connects to a checked address."""

    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def connect(self) -> None:
        self.sock = connect(self.host, self.port, self._deadline)


class TlsConnection(HTTPSConnection):
    """The same over TLS."""

    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def connect(self) -> None:
        sock = connect(self.host, self.port, self._deadline)
        sock.settimeout(None)  # the deadline ends the handshake
        self.sock = tls_context().wrap_socket(sock, server_hostname=self.host)
        self.is_verified = True


class Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection
