"""System checks of the wiring: what a production start can't do without. Each says what to do."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Warn
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError

from leadmachine import installation

OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}


def secret_key() -> str:
    """The `SECRET_KEY`, "" where there is none (reading the setting itself then raises)."""
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:
        return ""


@register(Tags.security)
def production_settings(**kwargs: Any) -> list[CheckMessage]:
    """Errors for settings without which production is not safe. Nothing with `DEBUG` on."""
    if settings.DEBUG:
        return []
    wrong: list[CheckMessage] = []
    key = secret_key()
    if len(key) < 50 or key.startswith("django-insecure"):
        wrong.append(
            Error(
                "SECRET_KEY is missing or too short.",
                hint="Set SECRET_KEY to 50 or more random signs: "
                "python -c 'import secrets; print(secrets.token_urlsafe(64))' (on a development machine: set DEBUG=1)",
                id="leadmachine.E001",
            )
        )
    if key and key in settings.TOKEN_KEYS:
        wrong.append(
            Error(
                "SECRET_KEY is among LEADMACHINE_TOKEN_KEYS.",
                hint="Make a key of its own for sealing access tokens: whoever learns one must not have both.",
                id="leadmachine.E003",
            )
        )
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        wrong.append(
            Error(
                "ALLOWED_HOSTS does not name the hosts that this installation answers for.",
                hint="Set ALLOWED_HOSTS, for example ALLOWED_HOSTS=crm.example.com",
                id="leadmachine.E002",
            )
        )
    return wrong


@register(Tags.security)
def site_url(**kwargs: Any) -> list[CheckMessage]:
    """E004: the links in mails, which let people in, go over HTTPS."""
    if settings.DEBUG or not settings.HTTPS or settings.SITE_URL.startswith("https://"):
        return []
    hint = "Set LEADMACHINE_URL to the https:// address of this installation, or leave it out."
    return [Error("LEADMACHINE_URL is no https:// address.", hint=hint, id="leadmachine.E004")]


@register(Tags.security)
def broker_password(**kwargs: Any) -> list[CheckMessage]:
    """W005: whoever can write to the broker can make workers work."""
    broker = urlsplit(settings.REDIS_URL)
    if settings.DEBUG or not broker.hostname or broker.password or broker.hostname in OWN_MACHINE:
        return []
    hint = "Give it one, and put it into REDIS_URL: redis://:password@host:6379/0"
    return [Warn(f"The broker on {broker.hostname} asks for no password.", hint=hint, id="leadmachine.W005")]


@register()
def mail(**kwargs: Any) -> list[CheckMessage]:
    """W010: what works without mail, and what does not, where nobody said how mail leaves."""
    if settings.EMAIL_URL:
        return []
    hint = (
        "Set EMAIL_URL (.env.example shows its forms). Without mail nobody can be invited, sign up or choose a new "
        "password, and no alert arrives. Everything else works, and those sign in who were added with manage.py "
        "create_company, with createsuperuser or in /admin/."
    )
    return [
        Warn(
            "EMAIL_URL is not set: mail leaves only if this machine has a mail server.",
            hint=hint,
            id="leadmachine.W010",
        )
    ]


@register(Tags.database)
def own_queue(**kwargs: Any) -> list[CheckMessage]:
    """E010: this installation can be told from others on its Redis. Nothing while the database is away."""
    if not settings.REDIS_URL:
        return []
    try:
        installation.name()
    except OperationalError:
        return []  # asked again with the first wake-up
    except ProgrammingError:
        hint = (
            "Set LEADMACHINE_INSTALLATION to a name that no other installation on this Redis has, such as crm-staging."
        )
        return [Error("The database's user may not call pg_control_system(), which tells databases apart.", hint=hint,
                      id="leadmachine.E010")]  # fmt: skip
    return []
