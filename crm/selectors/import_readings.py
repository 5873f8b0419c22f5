"""How an import reads its columns, for its page: decimal signs, orders of day and month, and values of lists."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count
from django.db.models.fields.json import KT

from crm.data_exchange.importing.cells import split_tags
from crm.data_exchange.importing.column_readings import (
    READERS,
    ColumnReading,
    Convention,
    conventions,
    readings_of,
)
from crm.data_exchange.importing.judging import CELL
from crm.lists.custom_fields import as_text
from crm.models import CustomField, LeadImport, LeadImportRow, Otherwise, RowProblem
from crm.models.custom_field import WITH_CHOICES
from crm.models.numbers import DecimalSign
from crm.selectors.import_cells import ShownCells

WITH_LISTS: Final = ("status", "type", "owner", "tags")
VALUES_SHOWN: Final = 50  # of a column
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
class FileValue:
    """A value of the file, how many rows have it, and what it is here; `mark` says so if it isn't in the list."""

    text: str
    rows: int
    here: str
    mark: str


@dataclass(frozen=True, slots=True)
class ColumnOfValues:
    """A column whose values are from a list, with the values that the list doesn't have first."""

    index: int
    name: str
    known: int
    values: Sequence[FileValue]
    more: int

    @property
    def total(self) -> int:
        return len(self.values) + self.more


def columns_of_numbers(
    lead_import: LeadImport, custom: Mapping[str, CustomField]
) -> list[ColumnOfNumbers]:
    """The columns that can be read with either of two conventions. One query, and one for each with doubts."""
    found = [
        (index, name, reading, custom[field], kind)
        for index, (name, field, reading) in enumerate(
            zip(
                lead_import.header,
                lead_import.columns,
                readings_of(lead_import),
                strict=True,
            )
        )
        if (kind := conventions(custom.get(field)))
        and (reading.convention or reading.is_unclear)
    ]
    wanted = {
        number
        for _, _, reading, _, _ in found
        for number in (reading.settled_by, *reading.examples)
        if number
    }
    rows = LeadImportRow.objects.of(lead_import)
    cells = (
        dict(rows.filter(number__in=wanted).values_list("number", "cells"))
        if wanted
        else {}
    )
    return [_column_of_numbers(lead_import, cells, *each) for each in found]


def _column_of_numbers(
    lead_import: LeadImport,
    cells: dict[int, list[str]],
    index: int,
    name: str,
    reading: ColumnReading,
    field: CustomField,
    kind: type[Convention],
) -> ColumnOfNumbers:
    def read(number: int, row: Sequence[str]) -> ReadCell:
        text = row[index] if index < len(row) else ""
        return ReadCell(
            number,
            text,
            [_as_read(lead_import, field, text, each.value) for each in kind],
        )

    problem = (
        RowProblem.NUMBER_DOUBTFUL if kind is DecimalSign else RowProblem.DATE_DOUBTFUL
    )
    doubts = lead_import.planned.get(CELL.format(index, problem.value), 0)
    shown = [
        read(number, cells[number]) for number in reading.examples if number in cells
    ]
    row = reading.settled_by or 0
    settled = read(row, cells[row]) if row in cells else None
    chosen = (
        [each.value for each in kind].index(reading.convention)
        if reading.convention
        else 0
    )
    example = settled or next(iter(shown), None)
    if example:
        example = ReadCell(example.number, example.text, [example.readings[chosen]])
    return ColumnOfNumbers(
        index=index,
        name=name,
        question=next(text for key, text in QUESTIONS.items() if key in kind.values),
        needs_answer=reading.needs_answer,
        is_unclear=reading.is_unclear,
        options=[(each.value, str(each.label)) for each in kind],
        cells=shown,
        example=example,
        settled_by=reading.settled_by,
        doubts=doubts,
        doubt=_first_doubt(lead_import, index, field, problem, reading)
        if doubts
        else None,
    )


def _first_doubt(
    lead_import: LeadImport,
    index: int,
    field: CustomField,
    problem: RowProblem,
    reading: ColumnReading,
) -> ReadCell | None:
    rows = LeadImportRow.objects.of(lead_import).filter(
        cell_problems__has_key=str(index)
    )
    for number, cells, problems in rows.values_list("number", "cells", "cell_problems")[
        :VALUES_READ
    ]:
        if problems and problems[str(index)] == problem and index < len(cells):
            stored = _as_read(lead_import, field, cells[index], reading.convention)
            return ReadCell(number, cells[index], [stored])
    return None


def _as_read(
    lead_import: LeadImport, field: CustomField, text: str, convention: str
) -> str:
    """What this convention makes of the text, for people."""
    kind = conventions(field)
    assert kind is not None
    value, _ = READERS[kind](text).by(convention)
    return "" if value is None else as_text(field, str(value), lead_import.company)


def columns_of_values(
    lead_import: LeadImport, shown: ShownCells
) -> list[ColumnOfValues]:
    """The columns whose values are from a list. A query for each."""
    custom = shown.custom
    return [
        _column_of_values(lead_import, shown, index, name, reading)
        for index, (name, field, reading) in enumerate(
            zip(
                lead_import.header,
                lead_import.columns,
                readings_of(lead_import),
                strict=True,
            )
        )
        if field in WITH_LISTS
        or (field in custom and custom[field].type in WITH_CHOICES)
    ]


def _column_of_values(
    lead_import: LeadImport,
    shown: ShownCells,
    index: int,
    name: str,
    reading: ColumnReading,
) -> ColumnOfValues:
    own = (
        LeadImportRow.objects.of(lead_import)
        .annotate(cell=KT(f"cells__{index}"))
        .filter(cell__gt="")
    )
    counted = (
        own.order_by()
        .values("cell")
        .annotate(rows=Count("pk"))
        .order_by("-rows", "cell")
    )
    found = Counter(
        dict(
            _parts(
                lead_import.columns[index],
                counted.values_list("cell", "rows")[:VALUES_READ],
            )
        )
    )
    values = [
        _value(shown, index, text, rows, reading) for text, rows in found.most_common()
    ]
    unknown = [value for value in values if value.mark]
    known = [value for value in values if not value.mark]
    both = [*unknown, *known]
    return ColumnOfValues(
        index, name, len(known), both[:VALUES_SHOWN], max(0, len(both) - VALUES_SHOWN)
    )


def _parts(field: str, counted: Iterable[tuple[str, int]]) -> Counter[str]:
    """The values with their rows. A cell of tags has several."""
    parts: Counter[str] = Counter()
    for cell, rows in counted:
        for text in split_tags(cell) if field == "tags" else [cell]:
            parts[text] += rows
    return parts


def _value(
    shown: ShownCells, index: int, text: str, rows: int, reading: ColumnReading
) -> FileValue:
    problem = shown.problem(index, text)
    stored = shown.stored(index, text)
    if problem:
        is_row = reading.otherwise == Otherwise.ROW
        return FileValue(
            text, rows, stored, "Row is left out" if is_row else "Left empty"
        )
    return FileValue(text, rows, stored, "New" if shown.is_new(index, text) else "")
