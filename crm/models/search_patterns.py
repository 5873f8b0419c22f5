"""Regular expressions that find people however their names and numbers are written.

They work on PostgreSQL and on SQLite alike, without an extension (`unaccent` needs a superuser) and without a second
copy of personal data to keep up to date and to erase.
"""

import re
import unicodedata
from collections import defaultdict
from typing import Final

MARKS: Final = "[\u0300-\u036f]*"  # a letter and its accent may be two characters
LATIN_LETTERS: Final = (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
WITHOUT_DECOMPOSITION: Final = {"ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "\u0131": "i"}
WORDS_AT_MOST: Final = 8  # in a search: each is a regular expression for every row. 50 took seconds
DIGITS_OF_A_PHONE: Final = 4  # fewer find too many

_PHONE = re.compile(r"[0-9\s()+./-]+")


def words_of(text: str) -> list[str]:
    """The words of a search; those beyond WORDS_AT_MOST don't count."""
    return text.split()[:WORDS_AT_MOST]


def name_pattern(word: str) -> str:
    """Matches texts that contain the word, whatever accents its letters have. Use it ignoring case."""
    return "".join(_letter_pattern(character) for character in _plain(word))


def phone_pattern(text: str) -> str | None:
    """Matches phone numbers that contain these digits, however both are grouped. None if it's no phone number.

    Leading zeros don't count: +31 20 555 0142 is also found as 0031 20 5550142 and as 020 555 0142.
    """
    digits = re.sub("[^0-9]", "", text)
    if not _PHONE.fullmatch(text) or len(digits) < DIGITS_OF_A_PHONE:
        return None
    return "[^0-9]*".join(digits.lstrip("0")) or None


def _plain(text: str) -> str:
    """The text in lower case and without accents."""
    letters = unicodedata.normalize("NFD", text.lower())
    return "".join(WITHOUT_DECOMPOSITION.get(letter, letter) for letter in letters if not unicodedata.combining(letter))


def _letter_pattern(letter: str) -> str:
    return f"[{letter}{_VARIANTS[letter]}]{MARKS}" if letter in _VARIANTS else re.escape(letter)


def _variants() -> dict[str, str]:
    """The accented letters for each plain one, in both cases: some locales of PostgreSQL fold only a to z."""
    variants: defaultdict[str, str] = defaultdict(str)
    for letter in map(chr, LATIN_LETTERS):
        plain = WITHOUT_DECOMPOSITION.get(letter) or unicodedata.normalize("NFD", letter)[0].lower()
        if plain.isascii() and plain.isalpha():
            variants[plain] += letter
    return dict(variants)


_VARIANTS: Final = _variants()
