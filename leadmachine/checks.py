"""System checks of the settings. Each message says how to fix the problem."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Warn
from django.core.exceptions import ImproperlyConfigured
from django.db import NotSupportedError, ProgrammingError, connection
from django.db.models import Q
from django.utils import timezone

from capi.linkedin import versions
from capi.models import Connection
from capi.models.choices import Reason
from capi.models.connection import SENDS_FROM_HERE
from capi.selectors.deadlines import end_of_version
from capi.selectors.explanations.connection import about_old_version
from crm.models import file_storage
from leadmachine import installation
from leadmachine.production_checks import is_monotonous


def secret_key() -> str:
    """Return the `SECRET_KEY`, or "" if there is none (reading the setting itself raises then)."""
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:
        return ""


@register(Tags.security)
def production_settings(**kwargs: Any) -> list[CheckMessage]:
    """E001 to E003: production has a safe secret key and a list of hosts. No errors with `DEBUG` on."""
    if settings.DEBUG:
        return []
    errors: list[CheckMessage] = []
    key = secret_key()
    if len(key) < 50 or key.startswith("django-insecure") or is_monotonous(key):
        errors.append(
            Error(
                "SECRET_KEY is missing, too short or not random.",
                hint="Set SECRET_KEY to 50 or more random characters: "
                "python -c 'import secrets; print(secrets.token_urlsafe(64))' (on a development machine: set DEBUG=1)",
                id="leadmachine.E001",
            )
        )
    if key and key in settings.TOKEN_KEYS:
        errors.append(
            Error(
                "SECRET_KEY is also one of LEADMACHINE_TOKEN_KEYS.",
                hint="Generate a separate key for access tokens, so that one leaked key does not expose both.",
                id="leadmachine.E003",
            )
        )
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        errors.append(
            Error(
                "ALLOWED_HOSTS does not name the hosts that this installation serves.",
                hint="Set ALLOWED_HOSTS, for example ALLOWED_HOSTS=crm.example.com",
                id="leadmachine.E002",
            )
        )
    return errors


@register()
def database_url(**kwargs: Any) -> list[CheckMessage]:
    """E031: the settings name a PostgreSQL."""
    if settings.DATABASES["default"].get("ENGINE") == "postgresql":
        return []
    text = "DATABASE_URL is not set."
    if settings.DATABASE_URL:
        text = "DATABASE_URL does not name a PostgreSQL."
    hint = "Set it to postgres://user:password@host:5432/name (make run starts one of its own)"
    return [Error(text, hint=hint, id="leadmachine.E031")]


@register(Tags.security)
def site_url(**kwargs: Any) -> list[CheckMessage]:
    """E004: the links in mails, some of which sign people in, use HTTPS."""
    if settings.DEBUG or not settings.HTTPS or settings.SITE_URL.startswith("https://"):
        return []
    hint = "Set LEADMACHINE_URL to the https:// address of this installation, or leave it unset."
    return [
        Error(
            "LEADMACHINE_URL is not an https:// address.",
            hint=hint,
            id="leadmachine.E004",
        )
    ]


@register()
def mail(**kwargs: Any) -> list[CheckMessage]:
    """W010: the mail server is set. The hint lists what does not work without mail."""
    if settings.EMAIL_URL:
        return []
    hint = (
        "Set EMAIL_URL (.env.example shows its forms). Without mail, people can't be invited, sign up or reset their "
        "password, and no alerts arrive. Everything else works, including sign-in for users who were added with "
        "manage.py create_company, with createsuperuser or in /admin/."
    )
    return [
        Warn(
            "EMAIL_URL is not set: mail is sent only if this machine has a mail server.",
            hint=hint,
            id="leadmachine.W010",
        )
    ]


@register()
def mail_sign_in(**kwargs: Any) -> list[CheckMessage]:
    """E014: the name and password for the mail server are ASCII. Python's smtplib sends nothing else."""
    if f"{settings.EMAIL_HOST_USER}{settings.EMAIL_HOST_PASSWORD}".isascii():
        return []
    hint = "Choose another password at your mail provider, of ASCII letters, digits and symbols."
    text = "The name or password in EMAIL_URL has a character that can't be sent to a mail server."
    return [Error(text, hint=hint, id="leadmachine.E014")]


@register()
def files_storage(**kwargs: Any) -> list[CheckMessage]:
    """E012: Django can load the storage for files. Whether it can be reached shows only when it is used."""
    try:
        file_storage.storage()
    except Exception as error:  # each backend checks its options in its own way
        hint = "docs/operating.md has an example. If the backend is a separate package, install it."
        text = f"LEADMACHINE_FILES_STORAGE is not a usable storage ({type(error).__name__})."
        return [Error(text, hint=hint, id="leadmachine.E012")]
    return []


@register(Tags.database)
def postgresql_version(**kwargs: Any) -> list[CheckMessage]:
    """E032: the server has a version of PostgreSQL that LeadMachine knows. No error while it is down."""
    try:
        connection.check_database_version_supported()
    except NotSupportedError as error:
        hint = "Move the database to a newer one: PostgreSQL's manual describes pg_upgrade."
        return [Error(str(error), hint=hint, id="leadmachine.E032")]
    except installation.UNUSABLE:
        return []
    return []


@register(Tags.database)
def database_identity(**kwargs: Any) -> list[CheckMessage]:
    """E010: the database can be distinguished from any other, such as a restored copy. No error while it is down."""
    try:
        installation.identity()
    except installation.UNUSABLE:
        return []
    except ProgrammingError:
        hint = "Allow it, as PostgreSQL does by default: GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC"
        return [
            Error(
                "The database user may not call pg_control_system(), which identifies the server.",
                hint=hint,
                id="leadmachine.E010",
            )
        ]
    return []


@register(Tags.database)
def sending_is_paused(**kwargs: Any) -> list[CheckMessage]:
    """W112: sending is not paused for all companies. No warning while the database is down, or before a migration."""
    try:
        is_paused = Connection.objects.filter(
            Q(paused_reason=Reason.ALL_PAUSED) | ~SENDS_FROM_HERE
        ).exists()
    except (*installation.UNUSABLE, ProgrammingError):
        return []
    if not is_paused:
        return []
    hint = (
        "After a restore, run manage.py repeat_privacy_changes, then manage.py resume_sending. "
        "docs/operating.md describes the steps under Backups."
    )
    text = "All sending is paused: this database was restored, is a copy, or someone ran manage.py pause_sending."
    return [Warn(text, hint=hint, id="capi.W112")]


# Conversions


@register(Tags.security)
def token_keys(**kwargs: Any) -> list[CheckMessage]:
    """E101, E102: access tokens can be encrypted."""
    make = "Generate one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
    if not settings.TOKEN_KEYS:
        text = "LEADMACHINE_TOKEN_KEYS is not set: access tokens can't be encrypted."
        return [Error(text, hint=make, id="capi.E101")]
    invalid = [
        str(number)
        for number, key in enumerate(settings.TOKEN_KEYS, 1)
        if not _is_key(key)
    ]
    if invalid:
        where = f"number {' and '.join(invalid)} of {len(settings.TOKEN_KEYS)}"
        text = f"LEADMACHINE_TOKEN_KEYS contains an invalid key: {where}. A key has 44 characters."
        return [
            Error(
                text,
                hint=f"Separate keys with commas, the newest first. {make}",
                id="capi.E102",
            )
        ]
    return []


@register(Tags.security)
def where_conversions_go(**kwargs: Any) -> list[CheckMessage]:
    """E103: events go to LinkedIn, or, in development and with the sandbox, to this machine and nowhere else."""
    url = urlsplit(settings.LINKEDIN_API_URL)
    if settings.LINKEDIN_API_URL == settings.LINKEDIN_REAL_URL:
        return _sandbox_that_gets_nothing()
    if url.scheme not in {"http", "https"} or not url.hostname:
        return [
            Error(
                "LINKEDIN_API_URL is not a URL.",
                hint="Leave it unset to send to LinkedIn.",
                id="capi.E103",
            )
        ]
    if not is_loopback(url.hostname):
        text = f"LINKEDIN_API_URL points to {url.hostname}: every access token would be sent there."
        hint = "Leave LINKEDIN_API_URL unset. A stand-in for LinkedIn has to be on this machine (127.0.0.1)."
        return [Error(text, hint=hint, id="capi.E103")]
    if settings.DEBUG or settings.LINKEDIN_SANDBOX:
        return []
    text = f"LINKEDIN_API_URL points to {url.hostname}, not to LinkedIn: every access token would be sent there."
    hint = "Leave LINKEDIN_API_URL unset, or set LINKEDIN_SANDBOX=1 if this installation is for testing."
    return [Error(text, hint=hint, id="capi.E103")]


def _sandbox_that_gets_nothing() -> list[CheckMessage]:
    if not settings.LINKEDIN_SANDBOX:
        return []
    text = "LINKEDIN_SANDBOX is on, but LINKEDIN_API_URL is LinkedIn: events would be sent, and pages would deny it."
    return [Error(text, hint="Remove one of the two.", id="capi.E103")]


def is_loopback(host: str) -> bool:
    """True for this machine itself. Names other than localhost are not resolved: an answer may change."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@register()
def api_version(**kwargs: Any) -> list[CheckMessage]:
    """E105, W106: the API version is valid, and LinkedIn supports it for some time yet."""
    version = settings.LINKEDIN_API_VERSION
    if not versions.is_well_formed(version):
        hint = "Set it to a year and month, such as 202609."
        return [
            Error(
                f"LINKEDIN_API_VERSION is {version!r}, which is not a version.",
                hint=hint,
                id="capi.E105",
            )
        ]
    end = end_of_version(version, timezone.localdate())
    if end is not None and not end.is_near:
        return []
    words = about_old_version(version) if end is None else end.words
    return [Warn(words.what, hint=words.next_step, id="capi.W106")]


def _is_key(text: str) -> bool:
    """Return True for exactly one key. Fernet stops at the padding, so it would accept two keys without a comma."""
    try:
        Fernet(text)
        raw = urlsafe_b64decode(text)
    except ValueError:
        return False
    return urlsafe_b64encode(raw).decode() == text.strip().translate(
        str.maketrans("+/", "-_")
    )
