"""The keys of `LEADMACHINE_TOKEN_KEYS`: sealing under the newest, opening with any, and what to say where none opens.

A Fernet token names no key. It is a version (0x80), the moment of sealing, an initialisation vector, the ciphertext and
a signature that its key alone confirms (https://github.com/fernet/spec/blob/master/Spec.md). So a lost key can't be
named. The keys that are configured can, by their fingerprints, and so can the moment of sealing.
"""

import base64
import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

VERSION: Final = b"\x80"
SHORTEST: Final = 1 + 8 + 16 + 16 + 32  # bytes of a token: version, time, vector, one block, signature


class Unreadable(Exception):
    """No configured key opens it. Says which keys there are and when it was sealed, never what is sealed."""


class KeyState(StrEnum):
    """Under which of the configured keys something is sealed."""

    NEWEST = "newest"
    OLDER = "older"
    UNREADABLE = "unreadable"


def seal(text: str) -> str:
    """The text, sealed under the newest key."""
    return _newest(settings.TOKEN_KEYS[0]).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """The text that `seal` was given. Raises Unreadable."""
    try:
        return _ring(tuple(settings.TOKEN_KEYS)).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable(_why(sealed)) from None


def reseal(sealed: str) -> str:
    """The same under the newest key. Raises Unreadable.

    Not by `MultiFernet.rotate`, which keeps the old moment: it would no longer tell when the key was in use.
    """
    return seal(unseal(sealed))


def state_of(sealed: str) -> KeyState:
    """Whether the newest key opens it, an older one, or none."""
    try:
        _newest(settings.TOKEN_KEYS[0]).decrypt(sealed.encode())
    except InvalidToken:
        try:
            unseal(sealed)
        except Unreadable:
            return KeyState.UNREADABLE
        return KeyState.OLDER
    return KeyState.NEWEST


def fingerprint(key: str) -> str:
    """Eight hexadecimal digits by which people can tell keys apart. They give nothing of its 256 random bits away."""
    return hashlib.sha256(b"LeadMachine key " + base64.urlsafe_b64decode(key)).hexdigest()[:8]


def fingerprints() -> list[str]:
    """Those of the configured keys, newest first."""
    return [fingerprint(key) for key in settings.TOKEN_KEYS]


def _why(sealed: str) -> str:
    moment = _sealed_at(sealed)
    if moment is None:
        return "It is damaged: no key could open it"
    return (
        f"It was sealed on {moment:%Y-%m-%d at %H:%M} UTC under a key that LEADMACHINE_TOKEN_KEYS lacks "
        f"(it has {', '.join(fingerprints())}), or it is damaged"
    )


def _sealed_at(sealed: str) -> datetime | None:
    """When it says that it was sealed, None where it is not what `seal` returns."""
    try:
        token = base64.urlsafe_b64decode(sealed.encode())
        moment = datetime.fromtimestamp(int.from_bytes(token[1:9]), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if token[:1] == VERSION and len(token) >= SHORTEST else None


@lru_cache(maxsize=4)
def _newest(key: str) -> Fernet:
    return Fernet(key)


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
