"""Sealing and opening access tokens. Nothing else in the product holds one in the clear for longer than a request."""

import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class UnreadableToken(Exception):
    """The sealed token can't be opened with the keys at hand: save it anew, or bring the key back.

    Never carries the sealed text.
    """


def seal(*, company_id: int, token: str) -> str:
    """The token, sealed under the newest key together with its company, so that it opens for no other."""
    return _fernet(tuple(settings.TOKEN_KEYS)).encrypt(json.dumps([company_id, token]).encode()).decode()


def unseal(*, company_id: int, sealed: str) -> str:
    """The token that `seal` was given. Raises UnreadableToken for an unknown key, or another company's token."""
    try:
        owner, token = json.loads(_fernet(tuple(settings.TOKEN_KEYS)).decrypt(sealed.encode()))
    except (InvalidToken, ValueError):
        raise UnreadableToken from None
    if owner != company_id or not isinstance(token, str):
        raise UnreadableToken
    return token


def reseal(sealed: str) -> str:
    """The same under the newest key. Raises UnreadableToken where no key opens it."""
    try:
        return _fernet(tuple(settings.TOKEN_KEYS)).rotate(sealed.encode()).decode()
    except (InvalidToken, ValueError):
        raise UnreadableToken from None


def is_under_newest_key(sealed: str) -> bool:
    """True if the newest key alone opens it."""
    try:
        Fernet(settings.TOKEN_KEYS[0]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
