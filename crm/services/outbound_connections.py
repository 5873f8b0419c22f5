"""Connections to hosts that people enter: only to the internet, and to what the operator allows.

An address that someone enters could be in our own network: a database, a cloud's metadata service. So each host is
resolved once, all its addresses have to be public or allowed, and the connection goes to an address that was checked. A
second look-up could return another one.
"""

import socket
import ssl
import threading
from concurrent.futures import Future
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Final

import certifi
from django.conf import settings
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Url

from crm.services.deadlines import Deadline

# For the look-up of the name, and for connecting to each of its addresses.
STEP_SECONDS: Final = 3.0
# They contain an IPv4 address to which a gateway may forward: NAT64, 6to4, Teredo and the former IPv4-compatible ones.
TUNNELS: Final = [
    ip_network(each)
    for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
]
# Where clouds hand out a machine's credentials, besides link-local addresses: Amazon, Alibaba, Oracle, Azure
METADATA: Final = [
    ip_address(each)
    for each in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
]


Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class NotAllowed(OSError):
    """The host has an address that is neither on the internet nor allowed by the operator."""


def is_public(address: Address) -> bool:
    """True for an address on the internet. With `OUTBOUND_TO_LOOPBACK` this machine counts as well."""
    address = _unmapped(address)
    if settings.OUTBOUND_TO_LOOPBACK and address.is_loopback:
        return True
    is_tunnel = any(
        address in each for each in TUNNELS if each.version == address.version
    )
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (
        address.is_multicast or is_tunnel or is_site_local or is_metadata(address)
    )


def is_metadata(address: Address) -> bool:
    """True for an address where a cloud hands out a machine's credentials. No setting allows it."""
    address = _unmapped(address)
    return address.is_link_local or address in METADATA


def is_allowed(host: str, address: Address) -> bool:
    """True if `LEADMACHINE_OUTBOUND_ALLOWED` has the name of the host, or a network of this address."""
    if is_metadata(address):
        return False
    networks = [
        network for network in map(network_of, settings.OUTBOUND_ALLOWED) if network
    ]
    return host.lower() in settings.OUTBOUND_ALLOWED or any(
        _unmapped(address) in network for network in networks
    )


def network_of(entry: str) -> Network | None:
    """The network that an entry of `LEADMACHINE_OUTBOUND_ALLOWED` names; None if it is the name of a host."""
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None


def _unmapped(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address


@cache
def tls_context() -> ssl.SSLContext:
    """Verifies certificates and host names, by the authorities of certifi and those of `LEADMACHINE_CA_BUNDLE`."""
    context = ssl.create_default_context(cafile=certifi.where())
    if settings.CA_BUNDLE:
        context.load_verify_locations(cafile=settings.CA_BUNDLE)
    return context


def pool_for(url: Url, deadline: Deadline) -> HTTPConnectionPool:
    """A pool for one exchange with the host of this URL, which connects to checked addresses and ends in time."""
    assert url.host
    kind = TlsPool if url.scheme == "https" else Pool
    return kind(url.host, url.port, deadline=deadline)


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address of the host that answers. Raises OSError."""
    targets = _look_up(host, port, min(STEP_SECONDS, deadline.seconds_left()))
    addresses = {ip_address(str(target[4][0]).partition("%")[0]) for target in targets}
    if not all(
        is_public(address) or is_allowed(host, address) for address in addresses
    ):
        raise NotAllowed(f"{host} is not on the internet.")
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
