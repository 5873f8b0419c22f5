"""Where a request comes from, believed only as far as our own proxies tell it."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address

UNKNOWN = str(IPv4Address(0))  # a web server that is reached over a socket file tells no address


def client_address(request: HttpRequest) -> str:
    """The IP address of the browser: the last one on the way to us that is not one of `TRUSTED_PROXIES`.

    `X-Forwarded-For` is read from its end, and only as far as a trusted proxy wrote it: what a client puts there itself
    stands before that and gains nothing.
    """
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    on_the_way = request.headers.get("X-Forwarded-For", "").split(",")
    while address and _is_our_proxy(address) and on_the_way:
        told = _parsed(on_the_way.pop())
        if told is None:
            break
        address = told
    return str(address) if address else UNKNOWN


def _is_our_proxy(address: Address) -> bool:
    return any(address in ip_network(proxy, strict=False) for proxy in settings.TRUSTED_PROXIES)


def _parsed(text: str) -> Address | None:
    try:
        return ip_address(text.strip())
    except ValueError:
        return None
