"""Encrypting and decrypting access tokens. Nothing else keeps one in plain text for longer than a request."""

import hashlib

from crm.models import crypto
from crm.models.crypto import KeyState


class UnreadableToken(Exception):
    """The sealed token can't be opened with the configured keys: save it again, or restore the key.

    The message is a sentence for the operator and never contains the sealed text.
    """


def fingerprint(token: str) -> str:
    """Distinguishes tokens without showing any part of one: the first hex digits of its SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()[:8]


def seal(*, company_id: int, token: str) -> str:
    """Seal the token and its company under the newest key, so that it opens for no other company."""
    return crypto.seal_for(company_id, token)


def unseal(*, company_id: int, sealed: str) -> str:
    """The token in plain text. Raises UnreadableToken for an unknown key, or another company's token."""
    try:
        return crypto.unseal_for(company_id, sealed)
    except crypto.Unreadable as error:
        raise UnreadableToken(str(error)) from None


def reseal(*, company_id: int, sealed: str) -> str:
    """The same token sealed under the newest key. Raises UnreadableToken."""
    return seal(
        company_id=company_id, token=unseal(company_id=company_id, sealed=sealed)
    )


def key_state_of(*, company_id: int, sealed: str) -> KeyState:
    """Which key the token is sealed under. Another company's token is UNREADABLE, whatever its key."""
    try:
        unseal(company_id=company_id, sealed=sealed)
    except UnreadableToken:
        return KeyState.UNREADABLE
    return crypto.state_of(sealed)
