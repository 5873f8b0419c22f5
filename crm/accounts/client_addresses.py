"""The IP address of a browser, behind our own proxies or not, and what limits count as one address."""

import logging
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from django.conf import settings
from django.http import HttpRequest

logger = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address

IPV6_PREFIX: Final = 64  # bits: a household or an office has all addresses behind them
IPV4_IN_IPV6: Final = 96  # the bits before an IPv4 address in ::ffff:0:0/96
UNKNOWN = str(IPv4Address(0))  # a web server behind a Unix socket gets no address


def client_address(request: HttpRequest) -> str:
    """The browser's IP address: the last one before our proxies (`TRUSTED_PROXIES`).

    `X-Forwarded-For` is read from the end, and only as far as trusted proxies wrote it. Entries that a client adds come
    before those and have no effect.
    """
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    if address and address.is_private and came_by_unnamed_proxy(request):
        _report_unnamed_proxy(str(address))
    while address and _is_our_proxy(address) and forwarded:
        previous = _parsed(forwarded.pop())
        if previous is None:
            break
        address = previous
    return str(address) if address else UNKNOWN


def came_by_unnamed_proxy(request: HttpRequest) -> bool:
    """Return True if a proxy that is not in TRUSTED_PROXIES passes the request on: `client_address` is the proxy's."""
    return "X-Forwarded-For" in request.headers and not came_by_our_proxy(request)


def came_by_our_proxy(request: HttpRequest) -> bool:
    """Return True if a proxy in TRUSTED_PROXIES passes the request on."""
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    return address is not None and _is_our_proxy(address)


@cache
def _report_unnamed_proxy(address: str) -> None:
    """Log once per address that TRUSTED_PROXIES seems to lack it. Private addresses only, so few."""
    logger.warning(
        "%s passes on requests for others, and TRUSTED_PROXIES doesn't name it: failed sign-ins of all of them are "
        "counted together.",
        address,
    )


def client_network(request: HttpRequest) -> str:
    """What limits count as one browser's address: an IPv4 address, or the first 64 bits of an IPv6 address."""
    address = client_address(request)
    if ":" in address:
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return address


def _is_our_proxy(address: Address) -> bool:
    return any(address in _network(proxy) for proxy in settings.TRUSTED_PROXIES)


def _network(proxy: str) -> IPv4Network | IPv6Network:
    network = ip_network(proxy, strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return ip_network((mapped, network.prefixlen - IPV4_IN_IPV6)) if mapped else network


def _parsed(text: str) -> Address | None:
    """The address without its interface; None if invalid. One mapped to IPv6, as by dual-stack sockets, is IPv4."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
