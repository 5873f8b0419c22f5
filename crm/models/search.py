"""Finds leads by the texts in their fields, whatever the case, accents and spelling of numbers.

Each lead has a search text, which the database itself keeps up to date (`crm.models.search_index`): names, address,
organisation, job title and the digits of the phone number, folded to lower case without accents.
"""

import re
import unicodedata
from typing import Any, Final

from django.db.models import BooleanField, F, Func, Q, TextField

WORDS_AT_MOST: Final = 8  # in a search
DIGITS_OF_A_PHONE: Final = 4  # fewer find too many
NOTHING: Final = Q(pk__in=())
SHORT: Final = 3  # a word with fewer letters has no trigram of its own

ACCENTS: Final = "\u0300-\u036f"
LETTERS: Final = {
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "ŧ": "t",
    "\u0131": "i",
    "ς": "\u03c3",
}
LIGATURES: Final = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
# Blanks that NFKD doesn't turn into a space.
SPACES: Final = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u1680\u2028\u2029"

_PHONE = re.compile(r"[0-9\s()+./-]+")
_FOLDS: Final = str.maketrans({**LETTERS, **LIGATURES, **dict.fromkeys(SPACES, " ")})
_ACCENT: Final = re.compile(f"[{ACCENTS}]+")


def folded(text: str) -> str:
    """The text in lower case and without accents, as in the search text of a lead.

    Unicode's own decomposition: PostgreSQL's `normalize` and Python agree on it, and unlike `unaccent` it is
    immutable, as an index requires, and needs no extension.
    """
    return (
        _ACCENT.sub("", unicodedata.normalize("NFKD", text)).lower().translate(_FOLDS)
    )


def folded_sql(text: str) -> str:
    """`folded()` of an expression in SQL. The collation knows the cases of all letters, on every system."""
    plain = f"regexp_replace(normalize({text}, NFKD), '[{ACCENTS}]+', '', 'g')"
    lower = f"lower({plain} COLLATE pg_c_utf8)"
    for ligature, letters in LIGATURES.items():
        lower = f"replace({lower}, '{ligature}', '{letters}')"
    return f"translate({lower}, '{''.join(LETTERS)}{SPACES}', '{''.join(LETTERS.values())}{' ' * len(SPACES)}')"


class Folded(Func):
    """`folded()` of a text in the database."""

    arity = 1
    output_field = TextField()

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        text, params = compiler.compile(self.get_source_expressions()[0])
        return folded_sql(text), [*params]


def search_text(*values: str) -> str:
    """The search text of a lead; the last value is its phone number. Each word has a space in front."""
    *texts, phone = values
    return f" {folded(' '.join(texts))} {re.sub('[^0-9]', '', phone)}"


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
    return (
        digits.lstrip("0")
        if _PHONE.fullmatch(text) and len(digits) >= DIGITS_OF_A_PHONE
        else ""
    )


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
    return (
        Q(Contains(part)) | Q(Contains(digits))
        if digits and digits != part
        else Q(Contains(part))
    )


class Contains(Func):
    """True if the search text of the lead or deal contains this folded text (`crm.models.deal_search`).

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
