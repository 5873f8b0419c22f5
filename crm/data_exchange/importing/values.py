"""Reads the cells of a row as values of a lead's fields, and notes the problems with them.

A cell that can't be read costs itself, unless someone has chosen that it costs the row.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from crm.data_exchange.importing.cells import (
    SHARED,
    SHARING,
    Cell,
    Reader,
    built_in_readers,
)
from crm.data_exchange.importing.column_readings import ColumnReading
from crm.data_exchange.importing.columns import NAMES
from crm.data_exchange.importing.custom_columns import CellReader, custom_columns
from crm.models import Company, CustomField, Otherwise, RowProblem
from crm.models.lead_import import DOUBTS
from crm.models.validators import is_seen

# In each row: not cached.
DIFFERENT: Final = ("first_name", "last_name", "full_name", "email", "phone", "notes")
REPEATED: Final = 1_000  # cached cells of each other column
# Our own exports put an apostrophe before what a spreadsheet would take for a formula.
_DEFUSED: Final = re.compile(r"\A'(?=[=+\-@])")


@dataclass(slots=True)
class LeadValues:
    """A row's values by field name, without empty ones, or its problem and the index of the cell that has it.

    `cells` has the problems of single cells, by the index of their column as text. `unread_address` is the text of an
    e-mail address that can't be read.
    """

    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    column: int | None = None
    cells: dict[str, str] = field(default_factory=dict)
    unread_address: str = ""

    @property
    def key(self) -> str:
        """Equal for rows about the same person. "" for a bad row."""
        return "" if self.problem else self.person

    @property
    def person(self) -> str:
        """The `key` also of a bad row, if anything in it identifies the person."""
        return person_key(self.values, self.unread_address) if self.values else ""


class RowReader:
    """Reads rows of one import: knows which field each column is, and the company's lists and custom fields."""

    def __init__(
        self,
        company: Company,
        columns: Sequence[str],
        readings: Sequence[ColumnReading],
        *,
        custom: Mapping[str, CustomField] | None = None,
        adds_tags: bool = True,
    ) -> None:
        custom = custom_columns(company) if custom is None else custom
        required = [name for name, field in custom.items() if field.is_required]
        self._required = {
            name: columns.index(name) for name in required if name in columns
        }
        self._missing = len(self._required) < len(required)
        self._width = len(columns)
        self._says_who_is_shared = not set(SHARING).isdisjoint(columns)
        self._addresses = _indexes(columns, ["email"])
        self._names = _indexes(columns, NAMES)
        self._needed = _indexes(
            [reading.otherwise for reading in readings], [Otherwise.ROW]
        )
        self._readers = _readers(
            company, columns, readings, custom, adds_tags=adds_tags
        )
        # A whole name comes first: columns with its parts know better where it is split.
        self._columns = sorted(
            self._readers.items(), key=lambda column: columns[column[0]] != "full_name"
        )

    def read(self, cells: Sequence[str]) -> LeadValues:
        """The values of the row's cells, or the problem that makes it bad."""
        if not cells:
            return LeadValues(problem=RowProblem.ERASED)
        if len(cells) > self._width:
            return LeadValues(problem=RowProblem.TOO_MANY_CELLS, column=self._width - 1)
        values, problems = self._read_cells(cells)
        unread = self._unread_address(cells, problems)
        if (costly := self._costs_the_row(problems)) is not None:
            problem = problems[str(costly)]
            return LeadValues(values, problem, costly, unread_address=unread)
        if not _has_name(values):
            values = _without_names(values)
            if "email" not in values:
                return LeadValues(values, *self._nameless(problems))
        return LeadValues(values, cells=problems, unread_address=unread)

    def _unread_address(self, cells: Sequence[str], problems: Mapping[str, str]) -> str:
        """The text of an e-mail address that can't be read, or ""."""
        wrong = (index for index in self._addresses if str(index) in problems)
        return next((cells[index] for index in wrong), "")

    def _costs_the_row(self, problems: Mapping[str, str]) -> int | None:
        """The index of the first cell with a problem for which someone wants the row to be left out."""
        for index in self._needed:
            problem = problems.get(str(index), "")
            if problem and problem not in DOUBTS:
                return index
        return None

    def _read_cells(
        self, cells: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The values by field name, and the problems by index.

        If one of two columns says that the person is not shared, the other one changes nothing about that.
        """
        values: dict[str, Any] = {}
        problems: dict[str, str] = {}
        for index, read in self._columns:
            cell = cells[index] if index < len(cells) else ""
            if cell.startswith("'"):
                cell = _DEFUSED.sub("", cell)
            if cell:
                found, problem = read(cell)
                if SHARED not in found or values.get(SHARED, True):
                    values |= found
                if problem:
                    problems[str(index)] = str(problem)
        return values, problems

    def opted_out_elsewhere(
        self, rows: Iterable[tuple[int, Sequence[str]]]
    ) -> Iterator[int]:
        """The numbers of the rows about people whom only other rows say not to share. Bad rows may say so, too."""
        if not self._says_who_is_shared:
            return
        opted_out: set[str] = set()
        others: list[tuple[int, str]] = []
        for number, cells in rows:
            row = self.read(cells)
            if row.values.get(SHARED) is False:
                opted_out.add(row.person)
            else:
                others.append((number, row.person))
        yield from (number for number, key in others if key and key in opted_out)

    def read_cell(self, index: int, cell: str) -> Cell:
        """The values of one cell of this column, and its problem. No values if the column is left out."""
        read = self._readers.get(index)
        return read(_DEFUSED.sub("", cell)) if read and cell else ({}, "")

    def lacks(
        self, values: Mapping[str, Any], problems: Mapping[str, str]
    ) -> tuple[str, int | None] | None:
        """Why there can be no new lead with these values: the problem, and the index of the cell that has it.

        A known lead needs neither a name nor what is required: it has that already, or someone may fill it in.
        """
        if not _has_name(values):
            return self._nameless(problems)
        for name, index in self._required.items():
            if name not in values:
                return (
                    (problems[str(index)], index)
                    if str(index) in problems
                    else (RowProblem.REQUIRED, None)
                )
        return (RowProblem.REQUIRED, None) if self._missing else None

    def _nameless(self, problems: Mapping[str, str]) -> tuple[str, int | None]:
        """Why there is no name, and the index of the cell that should have it."""
        wrong = next((index for index in self._names if str(index) in problems), None)
        if wrong is not None:
            return problems[str(wrong)], wrong
        return RowProblem.NAME_MISSING.value, self._names[0] if self._names else None


def _readers(
    company: Company,
    columns: Sequence[str],
    readings: Sequence[ColumnReading],
    custom: Mapping[str, CustomField],
    *,
    adds_tags: bool,
) -> dict[int, Reader]:
    """How the cells of each column are read, by the index of the column.

    A custom field may have been archived or deleted since the columns were chosen.
    """
    by_name = {
        name: reading for name, reading in zip(columns, readings, strict=True) if name
    }
    adds_tags = (
        adds_tags and by_name.get("tags", ColumnReading()).otherwise == Otherwise.CREATE
    )
    readers: dict[str, Reader] = built_in_readers(company, adds_tags=adds_tags)
    for name in custom.keys() & by_name.keys():
        readers[name] = CellReader(custom[name], by_name[name])
    return {
        index: readers[name]
        if name in DIFFERENT
        else lru_cache(REPEATED)(readers[name])
        for index, name in enumerate(columns)
        if name in readers
    }


def _indexes(names: Sequence[str], wanted: Container[str]) -> list[int]:
    """Where the wanted names are."""
    return [index for index, name in enumerate(names) if name in wanted]


def _without_names(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in NAMES}


def _has_name(values: Mapping[str, Any]) -> bool:
    return is_seen(values.get("first_name", "") + values.get("last_name", ""))


def person_key(values: Mapping[str, Any], unread_address: str = "") -> str:
    """A hash of what identifies a person: the address, or else the name with the phone number or the organisation.

    With an address that can't be read, a name alone is not enough: it may be about someone else of that name.
    """
    if email := values.get("email", ""):
        return _hash(email.lower())
    name = (
        f"{values.get('first_name', '')} {values.get('last_name', '')}".strip().lower()
    )
    digits = re.sub(r"\D", "", values.get("phone", ""))
    other = digits or values.get("organisation", "").lower()
    if unread_address and not other:
        other = f"\n{unread_address.lower()}"
    return _hash("\n".join(("", name, other)))


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
