"""Removes a person who is being erased from imports: the rows about them, and their names elsewhere in it.

Files spell a person differently than the lead: composed or not, in capitals, with the last name first, in one cell or
two. So texts are compared word by word, without case and accents.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from django.db.models import Q

from crm.data_exchange.importing.columns import is_usual_name
from crm.data_exchange.importing.matching import NAMED_BY, person_key
from crm.models import Lead, LeadImport, LeadImportRow
from crm.models.addresses import spellings, without_formats
from crm.models.lead_duplicate import END_OF_A_PHONE
from crm.models.lead_import import LeadImportRowQuerySet
from crm.search.conditions import SHORT
from crm.search.folding import folded
from postgresql.bounds import LONG_SECONDS, statements_may_take

AT_ONCE: Final = 1_000
_WORDS: Final = re.compile(r"\w+")
_PARTS: Final = re.compile(r"\w+|\S")
_NO_DIGIT: Final = re.compile(r"\D+")


def _folded(texts: Iterable[str]) -> str:
    text = without_formats("\n".join(texts))
    return text.lower() if text.isascii() else folded(text)


def _words(text: str) -> set[str]:
    """The words and the other characters of a folded text."""
    return {*_PARTS.findall(text)}


@dataclass(frozen=True, slots=True)
class Person:
    """What identifies a person in a text: the words of their name, their address, and the end of their number."""

    names: frozenset[str]
    is_whole_name: bool  # a first and a last name
    addresses: frozenset[str]  # all spellings of the one
    phone: str

    @classmethod
    def of(cls, lead: Lead) -> Self:
        digits = _NO_DIGIT.sub("", lead.phone)
        name = _folded([lead.first_name, lead.last_name])
        return cls(
            # A name may be emoji alone.
            frozenset(_WORDS.findall(name) or _PARTS.findall(name)),
            is_whole_name=bool(lead.first_name and lead.last_name),
            addresses=frozenset(
                _folded([each]).strip() for each in spellings(lead.email) if each
            ),
            phone=digits[-END_OF_A_PHONE:] if len(digits) >= END_OF_A_PHONE else "",
        )

    def is_in_row(self, cells: Iterable[str]) -> bool:
        """True if the row is about the person: it has the address, the whole name, or the number and part of the name.

        A row with only the name may be about someone else of that name: better it is emptied, too.
        """
        text = _folded(cells)
        if self._has_address(text):
            return True
        # Perhaps as part of a word: a fast test of most rows.
        found = [name in text for name in self.names]
        may_have_name = self.is_whole_name and all(found)
        may_have_phone = any(found) and self._has_phone(text)
        if not may_have_name and not may_have_phone:
            return False
        words = _words(text)
        return (may_have_name and self.names <= words) or (
            may_have_phone and not self.names.isdisjoint(words)
        )

    def is_named_in(self, texts: Iterable[str]) -> bool:
        """True if the texts have the address, the number, or a word of the name; of a name of short words, all."""
        text = _folded(texts)
        words = _words(text)
        telling = {name for name in self.names if len(name) >= SHORT}
        has_name = (
            not telling.isdisjoint(words)
            if telling
            else bool(self.names) and self.names <= words
        )
        return has_name or self._has_phone(text) or self._has_address(text)

    def _has_address(self, text: str) -> bool:
        return any(each in text for each in self.addresses)

    def _has_phone(self, text: str) -> bool:
        return bool(self.phone) and self.phone in _NO_DIGIT.sub("", text)


def forget_rows(lead: Lead) -> None:
    """Empty the rows of imports that are about the person."""
    rows = _rows_of(lead.company_id)
    named = {name: getattr(lead, name) for name in NAMED_BY}
    keys = [person_key(named), person_key({"email": lead.email})]
    with statements_may_take(LONG_SECONDS):
        rows.filter(Q(lead=lead) | Q(key__in=keys)).forget()
        about = list(_rows_about(lead))
        for start in range(0, len(about), AT_ONCE):
            rows.filter(pk__in=about[start : start + AT_ONCE]).forget()


def _rows_of(company_id: int) -> LeadImportRowQuerySet:
    """The company's rows that are not empty, by their imports: there is no index of rows by company."""
    imports = LeadImport.objects.for_company(company_id)
    return (
        LeadImportRow.objects.for_company(company_id)
        .filter(lead_import__in=imports.values("pk"))
        .exclude(cells=[])
    )


def _rows_about(lead: Lead) -> Iterator[int]:
    """The keys of the rows with the person in their cells.

    Python reads them all, 100,000 in a second. PostgreSQL takes a minute to fold their letters.
    """
    person = Person.of(lead)
    for pk, cells in (
        _rows_of(lead.company_id)
        .order_by()
        .values_list("pk", "cells")
        .iterator(AT_ONCE)
    ):
        if person.is_in_row(cells):
            yield pk


def forget_names(lead: Lead) -> None:
    """Remove the person's name from names of files and columns, from notes about a file, and from chosen values."""
    person = Person.of(lead)
    own = LeadImport.objects.for_company(lead.company_id).order_by("pk")
    for each in own.iterator(AT_ONCE):
        changed = {
            "file_name": str(each)
            if person.is_named_in([each.file_name])
            else each.file_name,
            "header": _without_names(each.header)
            if person.is_named_in(each.header)
            else each.header,
            "notes": [note for note in each.notes if not person.is_named_in([note])],
            "readings": [_without_values(one, person) for one in each.readings],
        }
        if any(getattr(each, name) != value for name, value in changed.items()):
            LeadImport.objects.filter(pk=each.pk).update(**changed)


def _without_values(reading: dict[str, Any], person: Person) -> dict[str, Any]:
    """The reading of a column without what was chosen for values that name the person."""
    values = reading.get("values", {})
    kept = {
        key: choice
        for key, choice in values.items()
        if not person.is_named_in([key, choice.get("name", "")])
    }
    return reading if kept == values else {**reading, "values": kept}


def _without_names(header: Sequence[str]) -> list[str]:
    """The header with nothing but names of fields: one that has a person may be a row of the file, and all theirs."""
    return [
        name if is_usual_name(name) else f"Column {index}"
        for index, name in enumerate(header, start=1)
    ]
