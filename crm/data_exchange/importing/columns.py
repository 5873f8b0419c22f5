"""Guesses which field each column of a file is, by its name or else by its cells."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from crm.data_exchange.importing.objects.definition import (
    LEFT_OUT,
    ImportedObject,
    Preset,
)
from crm.data_exchange.importing.objects.registry import OBJECTS
from crm.models import CustomField

GUESSED_FROM: Final = 50  # rows
# A column that the download of bad rows adds to those of the file.
REASON: Final = "Reason"

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NUMBER: Final = re.compile(r"\+?[\d\s()./-]{5,}")
# Characters of an address: on 20,000 the pattern above may take seconds.
_LONGEST_VALUE: Final = 254
# Names of columns that a file has to have before it is taken for an export of a CRM.
MARKS_NEEDED: Final = 2


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
    preset: Preset | None = None,
) -> list[Guess]:
    """A guess for each column of a file, which may be an export of another CRM.

    No field is guessed twice, and sure guesses take precedence.
    """
    own = {
        _plain(each): name
        for name, field in custom.items()
        for each in (field.key, field.name)
    }
    known = _known_names(imported, own, preset)
    guesses = [
        _guess(imported, name, [row[index] for row in rows if index < len(row)], known)
        for index, name in enumerate(header)
    ]
    result, taken = _each_field_once(imported, guesses)
    # A custom field may have a built-in name, as "Company" next to a column "Organisation".
    for index, name in enumerate(header):
        field = own.get(_plain(name), LEFT_OUT)
        if not result[index].field and field not in taken:
            result[index] = Guess(field, is_sure=True)
            taken.add(field)
    return result


def recognised(imported: ImportedObject, header: Sequence[str]) -> Preset | None:
    """The CRM whose export has these column names. None if there is none, or if two are equally likely."""
    names = set(header)
    counts = [
        (len(names & {*preset.marks}), key) for key, preset in imported.presets.items()
    ]
    most = max(counts, default=(0, ""))[0]
    best = [key for count, key in counts if count == most]
    if most < MARKS_NEEDED or len(best) > 1:
        return None
    return imported.presets[best[0]]


def _each_field_once(
    imported: ImportedObject, guesses: Sequence[Guess]
) -> tuple[list[Guess], set[str]]:
    """The guesses without those of a field that another column is already, and the fields that are taken."""
    names = imported.names
    taken: set[str] = set()
    result = [Guess(LEFT_OUT, is_sure=True)] * len(guesses)
    for index, guess in sorted(
        enumerate(guesses), key=lambda pair: not pair[1].is_sure
    ):
        if guess.field and guess.field not in taken:
            taken |= {guess.field, *(names[-1:] if guess.field in names else [])}
            result[index] = guess
    return result, taken


def _known_names(
    imported: ImportedObject, own: Mapping[str, str], preset: Preset | None
) -> dict[str, str]:
    """The fields by the names that are sure, "" for a column of the other CRM that is none."""
    sure, _ = _usual_names(imported)
    if preset is None:
        return {**own, **sure}
    fields = {_plain(name): field for name, field in preset.fields.items()}
    filled = {name: field for name, field in fields.items() if field}
    return {**fields, **own, **sure, **filled}


def _guess(
    imported: ImportedObject, name: str, values: Iterable[str], known: Mapping[str, str]
) -> Guess:
    plain = _plain(name)
    if plain in known:
        return Guess(known[plain], is_sure=True)
    _, unsure = _usual_names(imported)
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


def guess_object(header: Sequence[str]) -> ImportedObject:
    """The object with the most columns of these names. Leads, unless the names of others prove otherwise."""

    def score(imported: ImportedObject) -> int:
        sure, _ = _usual_names(imported)
        found = {sure[plain] for name in header if (plain := _plain(name)) in sure}
        is_proven = not imported.proof or bool(found.intersection(imported.proof))
        return len(found) if is_proven else 0

    return max(OBJECTS, key=score)


@cache
def _usual_names(imported: ImportedObject) -> tuple[dict[str, str], dict[str, str]]:
    """The fields by their usual names: those that are sure, and the others. Of two with one name, the first."""
    fields = [*imported.fields.items()][::-1]
    sure = {name: key for key, field in fields for name in field.names.split()}
    unsure = {name: key for key, field in fields for name in field.unsure.split()}
    return sure, unsure


def field_named(imported: ImportedObject, name: str) -> str:
    """The field whose usual name this is, LEFT_OUT if there is none or if it may be something else."""
    sure, _ = _usual_names(imported)
    return sure.get(_plain(name), LEFT_OUT)


def is_usual_name(name: str) -> bool:
    """True for a usual name of a field of any object, and for a column of another CRM's exports."""
    return _plain(name) in _all_usual_names()


@cache
def _all_usual_names() -> frozenset[str]:
    return frozenset(_each_usual_name())


def _each_usual_name() -> Iterator[str]:
    for imported in OBJECTS:
        sure, _ = _usual_names(imported)
        yield from sure
        for preset in imported.presets.values():
            yield from map(_plain, preset.fields)


def looks_like_value(cell: str) -> bool:
    """True for an e-mail address or a number, which no column is named."""
    return _matches(_ADDRESS, cell) or _matches(_NUMBER, cell)


def _matches(pattern: re.Pattern[str], cell: str) -> bool:
    return len(cell) <= _LONGEST_VALUE and pattern.fullmatch(cell) is not None


def _plain(name: str) -> str:
    """The name in small letters without accents, spaces and punctuation."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if character.isalnum())
