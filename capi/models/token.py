"""Sealing and opening access tokens. Nothing else in the product holds one in the clear for longer than a request."""

import json

from crm.models import crypto
from crm.models.crypto import KeyState


class UnreadableToken(Exception):
    """The sealed token can't be opened with the keys at hand: save it again, or bring the key back.

    Says why in a sentence for the operator, and never carries the sealed text.
    """


def seal(*, company_id: int, token: str) -> str:
    """The token, sealed under the newest key together with its company, so that it opens for no other."""
    return crypto.seal(json.dumps([company_id, token]))


def unseal(*, company_id: int, sealed: str) -> str:
    """The token that `seal` was given. Raises UnreadableToken for an unknown key, or another company's token."""
    try:
        owner, token = json.loads(crypto.unseal(sealed))
    except crypto.Unreadable as error:
        raise UnreadableToken(str(error)) from None
    except (ValueError, TypeError):
        raise UnreadableToken("It holds no access token") from None
    if owner != company_id or not isinstance(token, str):
        raise UnreadableToken("It was sealed for another company")
    return token


def reseal(*, company_id: int, sealed: str) -> str:
    """The same under the newest key. Raises UnreadableToken."""
    return seal(company_id=company_id, token=unseal(company_id=company_id, sealed=sealed))


def key_state_of(*, company_id: int, sealed: str) -> KeyState:
    """Under which key the company's token is sealed. Another company's is unreadable, whatever its key."""
    try:
        unseal(company_id=company_id, sealed=sealed)
    except UnreadableToken:
        return KeyState.UNREADABLE
    return crypto.state_of(sealed)
