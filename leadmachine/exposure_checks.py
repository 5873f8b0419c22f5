"""System checks of settings that would let in, or reveal, more than was meant. All but W020 are for production."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Warn
from django.http.request import validate_host

from leadmachine.production_checks import OWN_MACHINE, in_production, is_monotonous

Network = IPv4Network | IPv6Network

# Networks that no one on the internet can be in: https://www.iana.org/assignments/iana-ipv4-special-registry
PRIVATE: Final = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)
# The largest networks of public proxies are a /12 and a /29. A wider one is a slip, such as 172.0.0.0/8.
WIDEST_PUBLIC: Final = {4: 12, 6: 28}
SHORTEST_TOKEN: Final = 32  # characters
# The hosts that Django accepts, without a port.
HOST: Final = re.compile(r"\.?[a-z0-9.-]*[a-z0-9]|\[[a-f0-9:.]+\]")
PRINTING_BACKENDS: Final = ("console", "filebased", "dummy", "locmem")


@register(Tags.security)
@in_production
def hosts_are_own(**kwargs: Any) -> list[CheckMessage]:
    """E015, E016: ALLOWED_HOSTS has names of hosts, and no entry that matches those of strangers."""
    hint = "Name the hosts, without scheme, port or path: ALLOWED_HOSTS=crm.example.com"
    found: list[CheckMessage] = []
    for host in settings.ALLOWED_HOSTS:
        if host.startswith(".") and "." not in host[1:]:
            text = f"ALLOWED_HOSTS contains {host!r}: everyone's host names that end so would be accepted."
            found.append(Error(text, hint=hint, id="leadmachine.E015"))
        elif host != "*" and not HOST.fullmatch(host.lower()):
            text = f"ALLOWED_HOSTS contains {host!r}, which matches no host name: each request to it would be refused."
            found.append(Error(text, hint=hint, id="leadmachine.E016"))
    return found


@register(Tags.security)
@in_production
def proxies_are_own(**kwargs: Any) -> list[CheckMessage]:
    """E017: no network in TRUSTED_PROXIES has room for strangers, who could choose the address they are counted by."""
    wide = [proxy for proxy in settings.TRUSTED_PROXIES if _is_wide(proxy)]
    if not wide:
        return []
    text = f"TRUSTED_PROXIES contains {wide[0]}: anyone there could pretend to be any address."
    hint = "Name the addresses of your own proxies, or their network: 127.0.0.1 or 172.16.0.0/12"
    return [Error(text, hint=hint, id="leadmachine.E017")]


def _is_wide(text: str) -> bool:
    try:
        network: Network = ip_network(text, strict=False)
    except ValueError:
        return False  # E007 reports it
    return (
        not is_private(network) and network.prefixlen < WIDEST_PUBLIC[network.version]
    )


def is_private(network: Network) -> bool:
    """True if no one on the internet can be in this network."""
    return any(
        network.version == each.version and network.subnet_of(each)  # type: ignore[arg-type]
        for each in PRIVATE
    )


@register(Tags.security)
@in_production
def metrics_are_private(**kwargs: Any) -> list[CheckMessage]:
    """E034, E035: who may read /metrics knows a token that can't be guessed, and is in no network of strangers."""
    found: list[CheckMessage] = []
    token = settings.METRICS_TOKEN
    if token and (len(token) < SHORTEST_TOKEN or is_monotonous(token)):
        text = "LEADMACHINE_METRICS_TOKEN is too short or not random: strangers could guess it."
        hint = (
            "Generate one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
        found.append(Error(text, hint=hint, id="leadmachine.E034"))
    wide = [network for network in settings.METRICS_NETWORKS if _is_wide(network)]
    if wide and not token:
        text = f"LEADMACHINE_METRICS_NETWORKS contains {wide[0]}: strangers there could read /metrics."
        hint = "Name the address or network of your Prometheus, or set LEADMACHINE_METRICS_TOKEN, too."
        found.append(Error(text, hint=hint, id="leadmachine.E035"))
    return found


@register(Tags.security)
@in_production
def origins_are_own(**kwargs: Any) -> list[CheckMessage]:
    """E018: CSRF_TRUSTED_ORIGINS has no pattern that matches strangers' pages, which could submit forms."""
    wide = [
        origin
        for origin in settings.CSRF_TRUSTED_ORIGINS
        if _is_pattern_for_all(urlsplit(origin).netloc)
    ]
    if not wide:
        return []
    text = (
        f"CSRF_TRUSTED_ORIGINS contains {wide[0]}: pages of strangers could submit "
        "forms for people who are signed in."
    )
    return [
        Error(
            text,
            hint="Name the origins: https://crm.example.com",
            id="leadmachine.E018",
        )
    ]


def _is_pattern_for_all(host: str) -> bool:
    return host.startswith("*") and "." not in host.removeprefix("*.")


@register(Tags.security)
@in_production
def files_are_not_served(**kwargs: Any) -> list[CheckMessage]:
    """E019: the files of leads and deals are in no folder whose content the web server hands out to everyone."""
    served = [
        Path(folder).resolve()
        for folder in (settings.STATIC_ROOT, *settings.STATICFILES_DIRS)
    ]
    folder = Path(settings.FILES_DIR).resolve()
    if not any(folder == each or each in folder.parents for each in served):
        return []
    text = f"LEADMACHINE_FILES_DIR is {folder}, whose content everyone can download."
    return [
        Error(
            text,
            hint="Choose a folder elsewhere, such as var/files.",
            id="leadmachine.E019",
        )
    ]


@register(Tags.security)
def debug_is_for_own_machine(**kwargs: Any) -> list[CheckMessage]:
    """W020: with DEBUG, no other host name is served. (`leadmachine.gunicorn` refuses to listen for other machines.)"""
    others = [
        host
        for host in settings.ALLOWED_HOSTS
        if host.removeprefix(".") not in OWN_MACHINE
    ]
    if not settings.DEBUG or not others or others == ["testserver"]:
        return []
    text = f"DEBUG is on, and ALLOWED_HOSTS has {others[0]}: error pages show code and settings to everyone."
    return [
        Warn(
            text,
            hint="Set DEBUG=off, or leave ALLOWED_HOSTS unset.",
            id="leadmachine.W020",
        )
    ]


@register(Tags.security)
@in_production
def mail_is_private(**kwargs: Any) -> list[CheckMessage]:
    """W021, W022: the password for the mail server is not sent in the clear, and mails are not printed."""
    backend = settings.EMAIL_BACKEND.split(".")[-2]
    if settings.EMAIL_URL and backend in PRINTING_BACKENDS:
        text = "EMAIL_URL sends no mail: the backend is for development, and may print links that sign people in."
        return [
            Warn(
                text,
                hint="Set it to a mail server: smtp+tls://…:587",
                id="leadmachine.W022",
            )
        ]
    is_plain = not (
        getattr(settings, "EMAIL_USE_TLS", False)
        or getattr(settings, "EMAIL_USE_SSL", False)
    )
    if (
        is_plain
        and settings.EMAIL_HOST_PASSWORD
        and settings.EMAIL_HOST not in OWN_MACHINE
    ):
        text = (
            f"EMAIL_URL sends its password to {settings.EMAIL_HOST} without encryption."
        )
        return [
            Warn(
                text,
                hint="Write smtp+tls://…:587 or smtp+ssl://…:465.",
                id="leadmachine.W021",
            )
        ]
    return []


@register(Tags.security)
@in_production
def links_lead_here(**kwargs: Any) -> list[CheckMessage]:
    """W023: LEADMACHINE_URL, where the links in mails lead, is a host of this installation."""
    host = urlsplit(settings.SITE_URL).hostname or ()
    if not host or validate_host(host, settings.ALLOWED_HOSTS):
        return []
    text = (
        f"LEADMACHINE_URL leads to {host}, which is not in ALLOWED_HOSTS: links in "
        "mails, some of which sign people in."
    )
    hint = "Correct one of the two. If a proxy changes the host name, this is as it should be."
    return [Warn(text, hint=hint, id="leadmachine.W023")]
