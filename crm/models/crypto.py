"""Encryption with the keys in `LEADMACHINE_TOKEN_KEYS`: encrypts with the newest key, decrypts with any.

A Fernet token does not identify its key. It holds a version (0x80), a timestamp, an initialisation vector, the
ciphertext and a signature that only its key can verify (https://github.com/fernet/spec/blob/master/Spec.md). So error
messages can't identify a lost key, only the time of encryption and the fingerprints of the configured keys.
"""

import base64
import hashlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

VERSION: Final = b"\x80"
# Bytes: version, timestamp, vector, one block, signature.
MIN_LENGTH: Final = 1 + 8 + 16 + 16 + 32


class Unreadable(Exception):
    """No configured key decrypts the text. The message has the configured keys and the time of encryption."""


class KeyState(StrEnum):
    """Which configured key decrypts a text."""

    NEWEST = "newest"
    OLDER = "older"
    UNREADABLE = "unreadable"


def seal(text: str) -> str:
    """The text, encrypted with the newest key."""
    return _fernet(settings.TOKEN_KEYS[0]).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Decrypt what `seal` returned. Raises Unreadable."""
    try:
        return (
            _multi_fernet(tuple(settings.TOKEN_KEYS)).decrypt(sealed.encode()).decode()
        )
    except InvalidToken:
        raise Unreadable(_reason(sealed)) from None


def reseal(sealed: str) -> str:
    """The text encrypted again with the newest key. Raises Unreadable.

    Not with `MultiFernet.rotate`: it keeps the old timestamp, which then no longer shows when the key was in use.
    """
    return seal(unseal(sealed))


def seal_for(company_id: int, text: str) -> str:
    """The text and its company, encrypted with the newest key. It can't be decrypted for another company."""
    return seal(json.dumps([company_id, text]))


def unseal_for(company_id: int, sealed: str) -> str:
    """Decrypt what `seal_for` returned. Raises Unreadable, also for another company's text."""
    try:
        owner, text = json.loads(unseal(sealed))
    except (ValueError, TypeError):
        raise Unreadable("It holds no secret of a company") from None
    if owner != company_id or not isinstance(text, str):
        raise Unreadable("It was sealed for another company")
    return text


def state_of(sealed: str) -> KeyState:
    """Whether the newest key, an older one or none decrypts the text."""
    try:
        _fernet(settings.TOKEN_KEYS[0]).decrypt(sealed.encode())
    except InvalidToken:
        try:
            unseal(sealed)
        except Unreadable:
            return KeyState.UNREADABLE
        return KeyState.OLDER
    return KeyState.NEWEST


def fingerprint(key: str) -> str:
    """Eight hexadecimal digits that distinguish keys without revealing any of the key's 256 random bits."""
    return hashlib.sha256(
        b"LeadMachine key " + base64.urlsafe_b64decode(key)
    ).hexdigest()[:8]


def fingerprints() -> list[str]:
    """The fingerprints of the configured keys, newest first."""
    return [fingerprint(key) for key in settings.TOKEN_KEYS]


def _reason(sealed: str) -> str:
    encrypted_at = _encrypted_at(sealed)
    if encrypted_at is None:
        return "It is damaged: no key can decrypt it"
    return (
        f"It was encrypted on {encrypted_at:%Y-%m-%d at %H:%M} UTC with a key that is not in LEADMACHINE_TOKEN_KEYS "
        f"(which has {', '.join(fingerprints())}), or it is damaged"
    )


def _encrypted_at(sealed: str) -> datetime | None:
    """The token's timestamp; None if it is not a Fernet token."""
    try:
        token = base64.urlsafe_b64decode(sealed.encode())
        timestamp = datetime.fromtimestamp(int.from_bytes(token[1:9]), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return timestamp if token[:1] == VERSION and len(token) >= MIN_LENGTH else None


@lru_cache(maxsize=4)
def _fernet(key: str) -> Fernet:
    return Fernet(key)


@lru_cache(maxsize=4)
def _multi_fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
