"""What an import makes of the cells of a file: their values as they are stored, and what can't be read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Final

from django.db.models import Choices, QuerySet

from crm.data_exchange.importing.cells import SHARED, SHARING
from crm.data_exchange.importing.column_readings import readings_of
from crm.data_exchange.importing.judging import CELL
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.value_lists import NewValue
from crm.data_exchange.importing.value_maps import ValueMap
from crm.data_exchange.importing.values import RowReader
from crm.formatting import full_day
from crm.lists.custom_fields import as_text
from crm.models import (
    CustomField,
    FieldType,
    LeadImport,
    LeadImportRow,
    LeadType,
    RowProblem,
    Stage,
    User,
)
from crm.models.bidi import without_bidi_controls
from crm.models.lead_import import DOUBTS

HEAD: Final = ("Row", "Column", "In the file", "Reason", "Stored")


@dataclass(frozen=True, slots=True)
class CellTotal:
    """How many cells of a column have a problem. `is_stored`: they are stored nevertheless."""

    column: int
    name: str
    problem: str
    label: str
    count: int
    is_stored: bool


@dataclass(frozen=True, slots=True)
class ProblemCell:
    """A cell that is left out, or stored though it is doubtful; then `stored` says as what."""

    number: int
    column: int
    name: str
    text: str
    problem: str
    label: str
    stored: str
    lead_id: int | None


class ShownCells:
    """The cells of an import as they are stored, for people. Reads the company's lists and custom fields once."""

    def __init__(self, lead_import: LeadImport) -> None:
        company = lead_import.company
        self._company, self._columns = company, lead_import.columns
        imported = object_of(lead_import)
        self.custom: Mapping[str, CustomField] = typed_columns(lead_import)
        self._reader = RowReader(
            imported,
            company,
            lead_import.columns,
            readings_of(lead_import),
            custom=self.custom,
        )
        self._types = dict(
            LeadType.objects.for_company(company).values_list("code", "name")
        )
        self._people = {
            user.pk: str(user)
            for user in User.objects.filter(memberships__company=company)
        }

    def stored(self, index: int, cell: str) -> str:
        """The value of the cell in this column, "" if nothing is stored."""
        values, _ = self._reader.read_cell(index, cell)
        return " ".join(
            filter(None, (self._text(name, value) for name, value in values.items()))
        )

    def stored_of(self, row: LeadImportRow, index: int) -> str:
        """The value of the row's cell in this column. All columns about sharing show the one answer of the row."""
        if self._columns[index] in SHARING and not self._is_shared(row):
            return self._text(SHARED, False)
        return self.stored(index, row.cells[index]) if index < len(row.cells) else ""

    def _is_shared(self, row: LeadImportRow) -> bool:
        return not row.is_opted_out and self._reader.read(row.cells).values.get(
            SHARED, True
        )

    @property
    def value_maps(self) -> Mapping[str, ValueMap]:
        """Those of the columns that have a list, by field."""
        return self._reader.value_maps

    def problem(self, index: int, cell: str) -> str:
        """The `RowProblem` of the cell in this column, or ""."""
        return self._reader.read_cell(index, cell)[1]

    def _text(self, name: str, value: Any) -> str:
        if isinstance(value, NewValue):
            return without_bidi_controls(value)
        if isinstance(value, list):
            return ", ".join(self._one_of_several(name, each) for each in value)
        if name in self.custom:
            field = self.custom[name]
            if field.type == FieldType.DATE:
                return full_day(date.fromisoformat(value))  # `as_text` adds an element
            return as_text(field, value, self._company)
        if name == "owner_id":
            return self._people.get(value, "")
        return _label(self._types.get(value, value) if name == "type" else value)

    def _one_of_several(self, name: str, value: str) -> str:
        """A tag, or a choice of several."""
        if isinstance(value, NewValue) or name not in self.custom:
            return without_bidi_controls(value)
        return as_text(self.custom[name], [value], self._company)


def _label(value: Any) -> str:
    match value:
        case (Stage() as stage, *_):
            return str(stage)
        case Choices():
            return str(value.label)
        case time():
            return value.isoformat("minutes")
        case bool():
            return "Shared" if value else "Not shared"
    return str(value)


def cell_totals(lead_import: LeadImport, counts: Mapping[str, int]) -> list[CellTotal]:
    """The problems of cells by column, the most frequent first."""
    found = [
        CellTotal(
            index, name, problem.value, problem.label, counts[key], problem in DOUBTS
        )
        for index, name in enumerate(lead_import.header)
        for problem in RowProblem
        if counts.get(key := CELL.format(index, problem.value))
    ]
    return sorted(found, key=lambda total: -total.count)


def rows_with_problems(lead_import: LeadImport) -> QuerySet[LeadImportRow]:
    """The rows with cells that are left out or doubtful, in the order of the file."""
    return LeadImportRow.objects.of(lead_import).filter(cell_problems__isnull=False)


def problem_cells(
    lead_import: LeadImport, rows: Iterable[LeadImportRow]
) -> list[ProblemCell]:
    """The cells of these rows that are left out or doubtful."""
    shown = ShownCells(lead_import)
    return [cell for row in rows for cell in _problems_of(lead_import, row, shown)]


def all_problem_cells(lead_import: LeadImport) -> Iterator[list[Any]]:
    """All such cells for a file: row, column, what is in the file, why, and what is stored."""
    shown = ShownCells(lead_import)
    for row in rows_with_problems(lead_import).iterator(chunk_size=1000):
        for cell in _problems_of(lead_import, row, shown):
            yield [cell.number, cell.name, cell.text, cell.label, cell.stored]


def _problems_of(
    lead_import: LeadImport, row: LeadImportRow, shown: ShownCells
) -> Iterator[ProblemCell]:
    is_written = lead_import.started_at is not None
    for index, problem in sorted(
        (int(key), value) for key, value in (row.cell_problems or {}).items()
    ):
        text = row.cells[index] if index < len(row.cells) else ""
        yield ProblemCell(
            number=row.number,
            column=index,
            name=lead_import.header[index],
            text=text,
            problem=problem,
            label=RowProblem(problem).label,
            stored=shown.stored_of(row, index),
            lead_id=row.lead_id if is_written else None,
        )
