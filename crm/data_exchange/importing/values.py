"""Reads the cells of a row as values of fields, and notes the problems with them.

A cell that can't be read costs itself, unless someone has chosen that it costs the row.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final

from crm.data_exchange.importing.cells import (
    SHARED,
    SHARING,
    Cell,
    Reader,
)
from crm.data_exchange.importing.column_readings import ColumnReading
from crm.data_exchange.importing.custom_columns import CellReader, custom_columns
from crm.data_exchange.importing.objects.definition import ImportedObject, Lack
from crm.data_exchange.importing.value_lists import value_lists
from crm.data_exchange.importing.value_maps import ListReader, ValueMap
from crm.models import Company, CustomField, Otherwise, RowProblem
from crm.models.lead_import import DOUBTS

REPEATED: Final = 1_000  # cached cells of each column with the same values in many rows
# They don't cost the row, even if someone wants it to be left out for what can't be read.
KEEP_THE_ROW: Final = (*DOUBTS, RowProblem.LEFT_EMPTY)


@dataclass(slots=True)
class RowValues:
    """A row's values by field name, without empty ones, or its problem and the index of the cell that has it.

    `cells` has the problems of single cells, by the index of their column as text. `unread_address` is the text of an
    e-mail address that can't be read. The `key` is equal for rows about the same record, "" for a bad row.
    """

    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    column: int | None = None
    cells: dict[str, str] = field(default_factory=dict)
    unread_address: str = ""
    key: str = ""


class RowReader:
    """Reads rows of one import: knows which field each column is, and the company's lists and custom fields."""

    def __init__(
        self,
        imported: ImportedObject,
        company: Company,
        columns: Sequence[str],
        readings: Sequence[ColumnReading],
        *,
        custom: Mapping[str, CustomField] | None = None,
        adds_entries: bool = True,
    ) -> None:
        if custom is None:
            custom = custom_columns(
                company, imported.custom_subject, imported.typed_fields
            )
        required = [name for name, field in custom.items() if field.is_required]
        self._required = {
            name: columns.index(name) for name in required if name in columns
        }
        self._missing = len(self._required) < len(required)
        self._imported, self._fields, self._width = imported, columns, len(columns)
        self._says_who_is_shared = not set(SHARING).isdisjoint(columns)
        self._addresses = _indexes(columns, ["email"])
        self._needed = _indexes(
            [reading.otherwise for reading in readings], [Otherwise.ROW]
        )
        # Of the columns that have a list, by field.
        self.value_maps = _value_maps(
            imported, company, columns, readings, custom, adds=adds_entries
        )
        self._readers = _readers(imported, columns, readings, custom, self.value_maps)
        # A whole name comes first: columns with its parts know better where it is split.
        self._columns = sorted(
            self._readers.items(),
            key=lambda column: columns[column[0]] not in imported.names[-1:],
        )

    def read(self, cells: Sequence[str]) -> RowValues:
        """The values of the row's cells, or the problem that makes it bad."""
        if not cells:
            return RowValues(problem=RowProblem.ERASED)
        if len(cells) > self._width:
            return RowValues(problem=RowProblem.TOO_MANY_CELLS, column=self._width - 1)
        values, problems = self._read_cells(cells)
        unread = self._unread_address(cells, problems)
        if (costly := self._costs_the_row(problems)) is not None:
            problem = problems[str(costly)]
            return RowValues(values, problem, costly, unread_address=unread)
        values, lack = self._imported.checked(values)
        if lack:
            return RowValues(values, *self._place(lack, problems))
        key = self._imported.key(values, unread)
        return RowValues(values, cells=problems, unread_address=unread, key=key)

    def _unread_address(self, cells: Sequence[str], problems: Mapping[str, str]) -> str:
        """The text of an e-mail address that can't be read, or ""."""
        wrong = (index for index in self._addresses if str(index) in problems)
        return next((cells[index] for index in wrong), "")

    def _costs_the_row(self, problems: Mapping[str, str]) -> int | None:
        """The index of the first cell with a problem for which someone wants the row to be left out."""
        for index in self._needed:
            problem = problems.get(str(index), "")
            if problem and problem not in KEEP_THE_ROW:
                return index
        wanted = RowProblem.ROW_LEFT_OUT
        return next(
            (int(key) for key, each in problems.items() if each == wanted), None
        )

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
            person = row.key or self._person(row)
            if row.values.get(SHARED) is False:
                opted_out.add(person)
            else:
                others.append((number, person))
        yield from (number for number, key in others if key and key in opted_out)

    def _person(self, row: RowValues) -> str:
        """The key of a bad row, if anything in it identifies the person."""
        return self._imported.key(row.values, row.unread_address) if row.values else ""

    def read_cell(self, index: int, cell: str) -> Cell:
        """The values of one cell of this column, and its problem. No values if the column is left out."""
        read = self._readers.get(index)
        return read(cell) if read and cell else ({}, "")

    def lacks(
        self, values: Mapping[str, Any], problems: Mapping[str, str]
    ) -> tuple[str, int | None] | None:
        """Why there can be no new record with these values: the problem, and the index of the cell that has it.

        A known lead needs neither a name nor what is required: it has that already, or someone may fill it in.
        """
        if lack := self._imported.lacks(values):
            return self._place(lack, problems)
        for name, index in self._required.items():
            if name not in values:
                return (
                    (problems[str(index)], index)
                    if str(index) in problems
                    else (RowProblem.REQUIRED, None)
                )
        return (RowProblem.REQUIRED, None) if self._missing else None

    def _place(self, lack: Lack, problems: Mapping[str, str]) -> tuple[str, int | None]:
        """What a row lacks, and the index of the cell that should have it: an unreadable one, or else the first."""
        own = _indexes(self._fields, lack.fields)
        wrong = next((index for index in own if str(index) in problems), None)
        if wrong is not None:
            return problems[str(wrong)], wrong
        return lack.problem.value, own[0] if own else None


def _value_maps(
    imported: ImportedObject,
    company: Company,
    columns: Sequence[str],
    readings: Sequence[ColumnReading],
    custom: Mapping[str, CustomField],
    *,
    adds: bool,
) -> dict[str, ValueMap]:
    by_name = dict(zip(columns, readings, strict=True))
    return {
        name: ValueMap(values, by_name[name], adds=adds)
        for name, values in value_lists(
            imported.lists, company, columns, custom
        ).items()
    }


def _readers(
    imported: ImportedObject,
    columns: Sequence[str],
    readings: Sequence[ColumnReading],
    custom: Mapping[str, CustomField],
    value_maps: Mapping[str, ValueMap],
) -> dict[int, Reader]:
    """How the cells of each column are read, by the index of the column.

    A custom field may have been archived or deleted since the columns were chosen.
    """
    readers = imported.readers()
    for name, reading in zip(columns, readings, strict=True):
        if name in value_maps:
            readers[name] = ListReader(value_maps[name])
        elif name in custom:
            problem_of = partial(imported.problem_of, name)
            readers[name] = CellReader(
                name,
                custom[name],
                reading,
                problem_of,
                keeps_time=name in imported.timed,
            )
    return {
        index: readers[name]
        if name in imported.distinct
        else lru_cache(REPEATED)(readers[name])
        for index, name in enumerate(columns)
        if name in readers
    }


def _indexes(names: Sequence[str], wanted: Container[str]) -> list[int]:
    """Where the wanted names are."""
    return [index for index, name in enumerate(names) if name in wanted]
