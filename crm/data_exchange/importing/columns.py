"""Guesses which field each column of a file is, by its name or else by its cells."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from crm.data_exchange.importing.objects.definition import ImportedObject
from crm.data_exchange.importing.objects.registry import OBJECTS
from crm.models import CustomField

LEFT_OUT: Final = ""
GUESSED_FROM: Final = 50  # rows
# A column that the download of bad rows adds to those of the file.
REASON: Final = "Reason"

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NUMBER: Final = re.compile(r"\+?[\d\s()./-]{5,}")
# Characters of an address: on 20,000 the pattern above may take seconds.
_LONGEST_VALUE: Final = 254


@dataclass(frozen=True, slots=True)
class Guess:
    """The field that a column probably is, "" for none. A person has to check an unsure guess."""

    field: str
    is_sure: bool


def guess_columns(
    imported: ImportedObject,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    custom: Mapping[str, CustomField],
) -> list[Guess]:
    """A guess for each column. No field is guessed twice, and sure guesses take precedence."""
    own = {
        _plain(each): name
        for name, field in custom.items()
        for each in (field.key, field.name)
    }
    guesses = [
        _guess(imported, name, [row[index] for row in rows if index < len(row)], own)
        for index, name in enumerate(header)
    ]
    names = imported.names
    taken: set[str] = set()
    result = [Guess(LEFT_OUT, is_sure=True)] * len(guesses)
    for index, guess in sorted(
        enumerate(guesses), key=lambda pair: not pair[1].is_sure
    ):
        if guess.field and guess.field not in taken:
            taken |= {guess.field, *(names[-1:] if guess.field in names else [])}
            result[index] = guess
    return result


def _guess(
    imported: ImportedObject, name: str, values: Iterable[str], own: Mapping[str, str]
) -> Guess:
    sure, unsure = _usual_names(imported)
    plain = _plain(name)
    if field := sure.get(plain) or own.get(plain, ""):
        return Guess(field, is_sure=True)
    if field := unsure.get(plain, ""):
        return Guess(field, is_sure=False)
    filled = [value for value in values if value]
    for pattern, field in (
        (_ADDRESS, imported.address_field),
        (_NUMBER, imported.phone_field),
    ):
        matching = sum(_matches(pattern, value) for value in filled)
        if field and filled and 2 * matching > len(filled):
            return Guess(field, is_sure=False)
    return Guess(LEFT_OUT, is_sure=True)


@cache
def _usual_names(imported: ImportedObject) -> tuple[dict[str, str], dict[str, str]]:
    """The fields by their usual names: those that are sure, and the others."""
    fields = imported.fields.items()
    sure = {name: key for key, field in fields for name in field.names.split()}
    unsure = {name: key for key, field in fields for name in field.unsure.split()}
    return sure, unsure


def is_usual_name(name: str) -> bool:
    """True for a usual name of a field of any object."""
    return _plain(name) in _all_usual_names()


@cache
def _all_usual_names() -> frozenset[str]:
    return frozenset(_each_usual_name())


def _each_usual_name() -> Iterator[str]:
    for imported in OBJECTS:
        sure, _ = _usual_names(imported)
        yield from sure


def looks_like_value(cell: str) -> bool:
    """True for an e-mail address or a number, which no column is named."""
    return _matches(_ADDRESS, cell) or _matches(_NUMBER, cell)


def _matches(pattern: re.Pattern[str], cell: str) -> bool:
    return len(cell) <= _LONGEST_VALUE and pattern.fullmatch(cell) is not None


def _plain(name: str) -> str:
    """The name in small letters without accents, spaces and punctuation."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if character.isalnum())
