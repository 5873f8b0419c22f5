"""System checks of the conversions: wrong settings are said at the start, in a sentence, with the mend."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Warn
from django.utils import timezone

from capi.deadlines import end_of_version
from capi.linkedin import versions
from capi.words.deadlines import about_old_version

LARGEST_BATCH = 5_000  # elements per request (linkedin-capi, 1.4)
SMALLEST_MARGIN_SECONDS = 30


@register(Tags.security)
def token_keys(**kwargs: Any) -> list[CheckMessage]:
    """E101, E102: tokens can be sealed."""
    make = "Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
    if not settings.TOKEN_KEYS:
        return [Error("LEADMACHINE_TOKEN_KEYS is not set: access tokens can't be sealed.", hint=make, id="capi.E101")]
    wrong = [str(number) for number, key in enumerate(settings.TOKEN_KEYS, 1) if not _is_key(key)]
    if wrong:
        where = f"number {' and '.join(wrong)} of {len(settings.TOKEN_KEYS)}"
        text = f"LEADMACHINE_TOKEN_KEYS holds something that is no key: {where}. A key has 44 characters."
        return [Error(text, hint=f"Separate several with commas, the newest first. {make}", id="capi.E102")]
    return []


@register(Tags.security)
def where_conversions_go(**kwargs: Any) -> list[CheckMessage]:
    """E103: production sends to LinkedIn, or says that it does not."""
    url = urlsplit(settings.LINKEDIN_API_URL)
    if settings.LINKEDIN_API_URL == settings.LINKEDIN_REAL_URL:
        return []
    if url.scheme not in {"http", "https"} or not url.hostname:
        return [Error("LINKEDIN_API_URL is no address.", hint="Leave it out to send to LinkedIn.", id="capi.E103")]
    if settings.DEBUG or settings.LINKEDIN_SANDBOX:
        return []
    text = f"LINKEDIN_API_URL points to {url.hostname}, not to LinkedIn: every access token would be sent there."
    hint = "Leave LINKEDIN_API_URL out, or set LINKEDIN_SANDBOX=1 if this installation is for trying things out."
    return [Error(text, hint=hint, id="capi.E103")]


@register()
def api_version(**kwargs: Any) -> list[CheckMessage]:
    """E105, W106: the API version is one, and lives on for a while."""
    version = settings.LINKEDIN_API_VERSION
    if not versions.is_well_formed(version):
        hint = "Set it to year and month, such as 202609."
        return [Error(f"LINKEDIN_API_VERSION is {version!r}, which is no version.", hint=hint, id="capi.E105")]
    if versions.is_before_the_table(version):
        old = about_old_version(version)
        return [Warn(old.what, hint=old.next_step, id="capi.W106")]
    end = end_of_version(version, timezone.localdate())
    if end is not None and end.is_near:
        return [Warn(end.words.what, hint=end.words.next_step, id="capi.W106")]
    return []


@register()
def durations_and_sizes(**kwargs: Any) -> list[CheckMessage]:
    """E107 to E110, W111: lease and watchdog outlast a request, and a request is one that LinkedIn takes."""
    return list(_durations_and_sizes())


def _durations_and_sizes() -> Iterator[CheckMessage]:
    if settings.LEASE_SECONDS <= settings.SEND_TIMEOUT_SECONDS:
        yield Error(
            "A lane's lease ends before a request may: two workers would send the same events.",
            hint="Set LEADMACHINE_LEASE_SECONDS to at least twice LEADMACHINE_SEND_TIMEOUT_SECONDS plus 30.",
            id="capi.E107",
        )
    elif settings.LEASE_SECONDS < 2 * settings.SEND_TIMEOUT_SECONDS + SMALLEST_MARGIN_SECONDS and not settings.DEBUG:
        yield Warn(
            "A lane's lease leaves little time beside a slow request.",
            hint="Set LEADMACHINE_LEASE_SECONDS to at least twice LEADMACHINE_SEND_TIMEOUT_SECONDS plus 30.",
            id="capi.W109",
        )
    if not 1 <= settings.BATCH_SIZE <= LARGEST_BATCH:
        hint = f"Set LEADMACHINE_BATCH_SIZE to 1 to {LARGEST_BATCH}."
        yield Error("LinkedIn does not take batches of this size.", hint=hint, id="capi.E108")
    if settings.REQUESTS_PER_MINUTE < 1:
        hint = "Set LEADMACHINE_REQUESTS_PER_MINUTE to 1 or more; LinkedIn grants 600."
        yield Error("No request may ever be made.", hint=hint, id="capi.E110")
    longest = max(settings.SEND_TIMEOUT_SECONDS, settings.WORKER_STATEMENT_SECONDS)
    if longest >= settings.STANDSTILL_SECONDS:
        yield Warn(
            f"A worker would be ended over a request or a statement, which may take {longest:g} s.",
            hint="Leave LEADMACHINE_STANDSTILL_SECONDS out, or set it to at least LEADMACHINE_LEASE_SECONDS.",
            id="capi.W111",
        )


def _is_key(text: str) -> bool:
    """True for a key and nothing else. Fernet alone reads up to the padding: of two keys without a comma, the first."""
    try:
        Fernet(text)
        raw = urlsafe_b64decode(text)
    except ValueError:
        return False
    return urlsafe_b64encode(raw).decode() == text.strip().translate(str.maketrans("+/", "-_"))
