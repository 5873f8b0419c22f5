"""Conditions for rows whose search text has the words of a search."""

import re
from typing import Any, Final

from django.db.models import BooleanField, F, Func, Q

from crm.search.folding import folded

WORDS_AT_MOST: Final = 8  # in a search
DIGITS_OF_A_PHONE: Final = 4  # fewer find too many
NOTHING: Final = Q(pk__in=())
SHORT: Final = 3  # a word with fewer letters has no trigram of its own

_PHONE: Final = re.compile(r"[0-9\s()+./-]+")


def words_of(text: str) -> list[str]:
    """The words of a search; words beyond WORDS_AT_MOST are ignored."""
    return folded(text).split()[:WORDS_AT_MOST]


def parts_of(text: str) -> list[str]:
    """The words of a search, as the search text has them: a short one with a space in front (see `Contains`)."""
    return [word if len(word) >= SHORT else f" {word}" for word in words_of(text)]


def is_unfindable(text: str) -> bool:
    """True if folding leaves no word, as of accents alone: such a search finds nothing, rather than everything."""
    return bool(text.strip()) and not words_of(text)


def has_short_word(text: str) -> bool:
    """True if one of the words is so short that it only matches the beginning of a word (see `Contains`)."""
    return any(len(word) < SHORT for word in words_of(text))


def phone_digits(text: str) -> str:
    """The digits of a phone number, without leading zeros; "" if the text is no phone number.

    +31 20 555 0142 is also found as 0031 20 5550142 and as 020 555 0142.
    """
    digits = re.sub("[^0-9]", "", text)
    if _PHONE.fullmatch(text) and len(digits) >= DIGITS_OF_A_PHONE:
        return digits.lstrip("0")
    return ""


def matches(text: str) -> Q:
    """The condition that the search text has every word, or that the whole text is part of the phone number."""
    if is_unfindable(text):
        return NOTHING
    words = Q(*(Q(Contains(part)) for part in parts_of(text)))
    digits = phone_digits(text)
    return words | Q(Contains(digits)) if digits else words


def deal_matches(text: str) -> Q:
    """Like `matches`, for the title and lead of a deal. A number among the words may be a phone number, too."""
    if is_unfindable(text):
        return NOTHING
    words = Q(
        *(_deal_matches(part, phone_digits(part.strip())) for part in parts_of(text))
    )
    digits = phone_digits(text)
    return words | Q(Contains(digits)) if digits else words


def _deal_matches(part: str, digits: str) -> Q:
    if digits and digits != part:
        return Q(Contains(part)) | Q(Contains(digits))
    return Q(Contains(part))


class Contains(Func):
    """True if the search text of the lead or deal contains this folded text (`crm.search.deal_index`).

    A word of one or two letters has no trigram, and would be compared with every lead. With a space in front it has
    one, and matches the beginning of words, which is what people mean.
    """

    output_field = BooleanField()

    def __init__(self, text: str, **extra: Any) -> None:
        super().__init__(F("pk"), text=text, **extra)

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[str]]:  # type: ignore[override]
        column: Any = self.get_source_expressions()[0]
        pattern = re.sub(r"([\\%_])", r"\\\1", self.extra["text"])
        return (
            f'{compiler.quote_name_unless_alias(column.alias)}."search_text" LIKE %s',
            [f"%{pattern}%"],
        )
