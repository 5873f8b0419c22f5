"""How an import reads its columns, for its page: decimal signs, and orders of day and month."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from crm.data_exchange.importing.column_readings import (
    READERS,
    ColumnReading,
    Convention,
    conventions,
    readings_of,
)
from crm.data_exchange.importing.judging import CELL
from crm.lists.custom_fields import as_text
from crm.models import CustomField, LeadImport, LeadImportRow, RowProblem
from crm.models.numbers import DecimalSign

VALUES_READ: Final = 1_000
QUESTIONS: Final = {"comma": "decimal comma or point?", "day": "day or month first?"}


@dataclass(frozen=True, slots=True)
class ReadCell:
    """A cell, the number of its row, and what each convention makes of it."""

    number: int
    text: str
    readings: Sequence[str]


@dataclass(frozen=True, slots=True)
class ColumnOfNumbers:
    """A column of numbers or dates. It `needs_answer` if any of its values can be read in two ways.

    `settled` is the cell that shows how it is read, and `doubt` the first of `doubts` cells that sit oddly with that.
    """

    index: int
    name: str
    question: str
    needs_answer: bool
    is_unclear: bool
    options: Sequence[tuple[str, str]]
    cells: Sequence[ReadCell]
    example: ReadCell | None
    settled_by: int | None
    doubts: int
    doubt: ReadCell | None


@dataclass(frozen=True, slots=True)
class Read:
    """A column that can be read with either of two conventions."""

    index: int
    name: str
    reading: ColumnReading
    field: CustomField
    kind: type[Convention]

    @property
    def doubt(self) -> RowProblem:
        """What sits oddly with the way it is read."""
        if self.kind is DecimalSign:
            return RowProblem.NUMBER_DOUBTFUL
        return RowProblem.DATE_DOUBTFUL

    @property
    def shown(self) -> list[int]:
        """The numbers of the rows that show how it is read."""
        settled = self.reading.settled_by
        return [*([settled] if settled else []), *self.reading.examples]


def columns_of_numbers(
    lead_import: LeadImport, custom: Mapping[str, CustomField]
) -> list[ColumnOfNumbers]:
    """The columns that can be read with either of two conventions. One query, and one for each with doubts."""
    found = list(_read_columns(lead_import, custom))
    wanted = {number for column in found for number in column.shown}
    rows = LeadImportRow.objects.of(lead_import).filter(number__in=wanted)
    cells = dict(rows.values_list("number", "cells")) if wanted else {}
    return [_column_of_numbers(lead_import, cells, column) for column in found]


def _read_columns(
    lead_import: LeadImport, custom: Mapping[str, CustomField]
) -> Iterator[Read]:
    columns = zip(
        lead_import.header, lead_import.columns, readings_of(lead_import), strict=True
    )
    for index, (name, field, reading) in enumerate(columns):
        kind = conventions(custom.get(field))
        if kind and (reading.convention or reading.is_unclear):
            yield Read(index, name, reading, custom[field], kind)


def _column_of_numbers(
    lead_import: LeadImport, cells: Mapping[int, Sequence[str]], column: Read
) -> ColumnOfNumbers:
    reading, kind = column.reading, column.kind
    shown = {
        number: _read_cell(lead_import, column, number, cells[number])
        for number in column.shown
        if number in cells
    }
    count = CELL.format(column.index, column.doubt.value)
    doubts = lead_import.planned.get(count, 0)
    return ColumnOfNumbers(
        index=column.index,
        name=column.name,
        question=next(text for key, text in QUESTIONS.items() if key in kind.values),
        needs_answer=reading.needs_answer,
        is_unclear=reading.is_unclear,
        options=[(each.value, str(each.label)) for each in kind],
        cells=[shown[number] for number in reading.examples if number in shown],
        example=_example(column, shown),
        settled_by=reading.settled_by,
        doubts=doubts,
        doubt=_first_doubt(lead_import, column) if doubts else None,
    )


def _read_cell(
    lead_import: LeadImport, column: Read, number: int, row: Sequence[str]
) -> ReadCell:
    """The column's cell in this row, with what each convention makes of it."""
    text = row[column.index] if column.index < len(row) else ""
    readings = [
        _as_read(lead_import, column.field, text, each.value) for each in column.kind
    ]
    return ReadCell(number, text, readings)


def _example(column: Read, shown: Mapping[int, ReadCell]) -> ReadCell | None:
    """The first of the shown cells, as it is read."""
    cell = next((shown[number] for number in column.shown if number in shown), None)
    if cell is None:
        return None
    conventions_of_kind = [each.value for each in column.kind]
    chosen = column.reading.convention or conventions_of_kind[0]
    return replace(cell, readings=[cell.readings[conventions_of_kind.index(chosen)]])


def _first_doubt(lead_import: LeadImport, column: Read) -> ReadCell | None:
    """The first of the cells that sit oddly with the way the column is read, as it is read."""
    key = str(column.index)
    rows = LeadImportRow.objects.of(lead_import).filter(cell_problems__has_key=key)
    wanted = rows.values_list("number", "cells", "cell_problems")[:VALUES_READ]
    for number, cells, problems in wanted:
        if problems and problems[key] == column.doubt and column.index < len(cells):
            text = cells[column.index]
            convention = column.reading.convention
            stored = _as_read(lead_import, column.field, text, convention)
            return ReadCell(number, text, [stored])
    return None


def _as_read(
    lead_import: LeadImport, field: CustomField, text: str, convention: str
) -> str:
    """What this convention makes of the text, for people."""
    kind = conventions(field)
    assert kind is not None
    value, _ = READERS[kind](text).by(convention)
    return "" if value is None else as_text(field, str(value), lead_import.company)
