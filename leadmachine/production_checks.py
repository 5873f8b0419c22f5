"""System checks of settings that production must not have. With `DEBUG` on, only E007 and E033 can be reported."""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Warn
from django.db import ProgrammingError

from crm.models import User
from leadmachine import installation
from leadmachine.demo.people import CONTOSO, NORTHWIND, PASSWORD

OWN_MACHINE: Final = {"localhost", "127.0.0.1", "::1", "[::1]"}
YEAR_SECONDS: Final = 365 * 24 * 3600

Check = Callable[..., list[CheckMessage]]


def in_production(check: Check) -> Check:
    """Decorate a check that is skipped in development."""

    def checked(**kwargs: Any) -> list[CheckMessage]:
        return [] if settings.DEBUG else check(**kwargs)

    return checked


def is_monotonous(key: str | bytes) -> bool:
    """True for a key that can't be random, such as one letter repeated."""
    return len(set(key)) < 10  # 50 random hexadecimal digits have 16


@register(Tags.security)
@in_production
def token_keys_are_random(**kwargs: Any) -> list[CheckMessage]:
    """E104: every token key has enough different bytes to be random."""
    numbers = [
        str(number)
        for number, key in enumerate(settings.TOKEN_KEYS, 1)
        if _is_monotonous_key(key)
    ]
    if not numbers:
        return []
    text = f"LEADMACHINE_TOKEN_KEYS contains a key that is not random: number {' and '.join(numbers)}."
    hint = (
        "Put a new one in front: "
        "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
    )
    return [Error(text, hint=hint, id="capi.E104")]


@register(Tags.security)
@in_production
def broker_password(**kwargs: Any) -> list[CheckMessage]:
    """E005: a broker on another machine has a password. Anyone who can write to it can start tasks."""
    broker = urlsplit(settings.REDIS_URL)
    if not broker.hostname or broker.password or broker.hostname in OWN_MACHINE:
        return []
    hint = "Set one, and add it to REDIS_URL: redis://:password@host:6379/0"
    return [
        Error(
            f"The broker on {broker.hostname} has no password.",
            hint=hint,
            id="leadmachine.E005",
        )
    ]


@register(Tags.security)
@in_production
def plain_http_is_said(**kwargs: Any) -> list[CheckMessage]:
    """E006: an installation that others reach over plain HTTP also has http:// in LEADMACHINE_URL."""
    if (
        settings.HTTPS
        or set(settings.ALLOWED_HOSTS) <= OWN_MACHINE
        or settings.SITE_URL.startswith("http://")
    ):
        return []
    return [
        Error(
            "LEADMACHINE_HTTPS is off: passwords and sessions can be read on the way.",
            hint="Remove it and put a TLS proxy in front (docs/operating.md). If no one else is on this network, say "
            "so with the address for links in mails: LEADMACHINE_URL=http://crm.example.com",
            id="leadmachine.E006",
        )
    ]


@register(Tags.database)
@in_production
def demo_people(**kwargs: Any) -> list[CheckMessage]:
    """E011: no one can sign in with the demo's password, which is public. No error while the database is down."""
    emails = [
        person.email for company in (NORTHWIND, CONTOSO) for person in company.people
    ]
    try:
        users = [*User.objects.filter(email__in=emails, is_active=True)]
    except (*installation.UNUSABLE, ProgrammingError):  # or not migrated yet
        return []
    if not any(user.check_password(PASSWORD) for user in users):
        return []
    hint = (
        "Use an empty database, or delete the demo's companies and people in /admin/ (with DEBUG=on, and only from "
        "this machine)."
    )
    text = (
        f"{users[0].email} can sign in with the password of the demo, which is public."
    )
    return [Error(text, hint=hint, id="leadmachine.E011")]


@register(Tags.security)
@in_production
def proxy_is_named(**kwargs: Any) -> list[CheckMessage]:
    """W013: the proxy that terminates TLS is in TRUSTED_PROXIES."""
    if not settings.HTTPS or settings.TRUSTED_PROXIES:
        return []
    text = "TRUSTED_PROXIES is empty: everyone behind your proxy has the same address, so failed sign-ins add up."
    hint = "Set it to the address or network of the proxy that terminates TLS: 127.0.0.1 if it is on this machine."
    return [Warn(text, hint=hint, id="leadmachine.W013")]


@register(Tags.security)
@in_production
def preload_needs_more(**kwargs: Any) -> list[CheckMessage]:
    """E013: browsers only build in a host that binds its subdomains, for at least a year."""
    is_complete = (
        settings.SECURE_HSTS_INCLUDE_SUBDOMAINS
        and settings.SECURE_HSTS_SECONDS >= YEAR_SECONDS
    )
    if is_complete or not settings.SECURE_HSTS_PRELOAD:
        return []
    hint = f"Set LEADMACHINE_HSTS_SUBDOMAINS=on and LEADMACHINE_HSTS_SECONDS={YEAR_SECONDS}, or remove it."
    text = "LEADMACHINE_HSTS_PRELOAD is on, without its subdomains or for less than a year."
    return [Error(text, hint=hint, id="leadmachine.E013")]


@register(Tags.security)
@in_production
def sandbox_is_on(**kwargs: Any) -> list[CheckMessage]:
    """W113: an installation with the sandbox reports nothing to LinkedIn."""
    if not settings.LINKEDIN_SANDBOX:
        return []
    hint = (
        "That is for testing. To send to LinkedIn, remove LINKEDIN_SANDBOX and restart."
    )
    return [
        Warn("The sandbox is on: no event reaches LinkedIn.", hint=hint, id="capi.W113")
    ]


# Also in development: an invalid one would cause an error at the first sign-in.


@register(Tags.security)
def trusted_proxies(**kwargs: Any) -> list[CheckMessage]:
    """E007: TRUSTED_PROXIES are addresses and networks."""
    return _invalid_network(
        "TRUSTED_PROXIES", settings.TRUSTED_PROXIES, "leadmachine.E007"
    )


@register(Tags.security)
def metrics_networks(**kwargs: Any) -> list[CheckMessage]:
    """E033: LEADMACHINE_METRICS_NETWORKS are addresses and networks."""
    return _invalid_network(
        "LEADMACHINE_METRICS_NETWORKS", settings.METRICS_NETWORKS, "leadmachine.E033"
    )


def _invalid_network(
    name: str, networks: Sequence[str], check: str
) -> list[CheckMessage]:
    """Return an error for the first that is neither an address nor a network."""
    wrong = [network for network in networks if not _is_network(network)]
    if not wrong:
        return []
    hint = "Write addresses or networks, separated by commas: 10.0.0.5,172.16.0.0/12"
    return [
        Error(f"{name} contains {wrong[0]!r}, which is neither.", hint=hint, id=check)
    ]


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_monotonous_key(key: str) -> bool:
    try:
        return is_monotonous(urlsafe_b64decode(key))
    except ValueError:
        return False  # E102 reports it
