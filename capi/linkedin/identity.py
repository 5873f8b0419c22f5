"""Hashes e-mail addresses. The SHA-256 of the address is all that is sent about a person."""

import hashlib
import re
import unicodedata
from enum import StrEnum
from typing import Final, NamedTuple

JOINERS: Final = "\u200c\u200d"
_IS_HASH = re.compile(r"[0-9a-f]{64}")


def normalise_email(address: str) -> str:
    """The address in the form that LinkedIn hashes: NFC, without white space (Unicode's included), in lower case.

    Dots and plus tags stay: LinkedIn documents lower case and no white space, and nothing else
    (Microsoft Learn, "Conversions API schema"). Format characters such as a zero-width space are removed: no address
    has them, they come with text that is copied, and the person's LinkedIn account doesn't have them. The two joiners
    stay, because a domain may have them (RFC 5892, appendix A).
    """
    if not address.isascii():
        address = "".join(
            each
            for each in address
            if unicodedata.category(each) != "Cf" or each in JOINERS
        )
    return "".join(unicodedata.normalize("NFC", address).split()).lower()


def email_sha256(address: str | None) -> str | None:
    """Lower-case hex SHA-256 of the normalised address, or None if there is nothing to hash.

    There is nothing to hash in None, an empty text, blanks, a hash, or a text that can't be encoded as UTF-8. LinkedIn
    accepts any text as a hash, so the hash of nothing, or of a hash, would silently never match.
    """
    normalised = normalise_email(address or "")
    if not normalised or _IS_HASH.fullmatch(normalised):
        return None
    try:
        return hashlib.sha256(normalised.encode()).hexdigest()
    except UnicodeEncodeError:
        return None


def counted_person_key(sha256: str, *, rule_id: int) -> int:
    """A 64-bit key for one person under one rule, to be stored in the database.

    The rule is part of it, so that rows of two rules or companies can't be matched. Among a million people, the
    probability that any two have the same key is 1 in 37 million.
    """
    return int.from_bytes(
        hashlib.sha256(f"{rule_id} {sha256}".encode()).digest()[:8], signed=True
    )


class NothingToHash(StrEnum):
    """Why an address has no hash."""

    EMPTY = "empty"
    IS_HASH = "is_hash"
    NO_TEXT = "no_text"


def why_no_hash(address: str) -> NothingToHash | None:
    """Why `email_sha256` returns None for this address; None if it returns a hash."""
    if email_sha256(address) is not None:
        return None
    normalised = normalise_email(address)
    if not normalised:
        return NothingToHash.EMPTY
    if _IS_HASH.fullmatch(normalised):
        return NothingToHash.IS_HASH
    return NothingToHash.NO_TEXT


class Vector(NamedTuple):
    """An address as typed, its SHA-256, and who published both: proof that our hashes are the same."""

    address: str
    sha256: str
    source: str


ADOBE: Final = (
    "LinkedIn's extension for Adobe, its tests "
    "(github.com/linkedin-developers/reactor-extension-linkedin-edge)"
)
SEGMENT: Final = "Segment's LinkedIn destination, its tests (github.com/segmentio/action-destinations)"

PUBLISHED: Final = (
    Vector(
        "email@email.com",
        "f3273dd18d95bc19d51d3e6356e4a679e6f13824497272a270e7bb540b0abb9d",
        ADOBE,
    ),
    Vector(
        "testing@testing.com",
        "584c4423c421df49955759498a71495aba49b8780eb9387dff333b6f0982c777",
        SEGMENT,
    ),
    Vector(
        "nick@testing.com",
        "9155510f76fbf498f1d9d69198150962106ee10169eae019115efbeb16969921",
        SEGMENT,
    ),
    Vector(
        "WHYAREYOUYELLING@EMAIL.com",
        "691f95429e014a31230a8963ea28daff1da1c2e4d95f9723a4ea36c548ed2e58",
        SEGMENT,
    ),
)
