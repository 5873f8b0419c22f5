"""Imports for their pages: the columns, a preview of the rows, the totals, and what LinkedIn would get."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from django.db.models.functions import Substr

from crm.data_exchange.importing.judging import PROBLEM
from crm.data_exchange.importing.objects.definition import (
    LATER,
    LEFT_OUT,
    TOO_OLD,
    ImportedObject,
)
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.reading import read_table
from crm.data_exchange.importing.spreadsheets import UnreadableFile
from crm.data_exchange.importing.text_formats import TextFormat
from crm.models import (
    Company,
    CrmEventKind,
    CustomField,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    RowOutcome,
    RowProblem,
    RowUndo,
)
from crm.models.address_problems import meant_address
from crm.models.lead_import import DOUBTS
from crm.selectors.import_cells import ShownCells
from crm.selectors.import_presets import ColumnGuesses
from crm.services.status_changes import ExpectedConversions

SAMPLES_SHOWN: Final = 3
PREVIEWED_BYTES: Final = 512 * 1024
# Rows among which those with letters beyond ASCII are sought.
PREVIEWED_OF_FILE: Final = 5_000
ROWS_OF_FILE: Final = 6
PREVIEWED: Final = 20  # rows
OF_EACH: Final = PREVIEWED // len(RowOutcome)
WHAT: Final = {
    RowOutcome.NEW: "A {} is added",
    RowOutcome.UPDATE: "Only empty fields are filled",
    RowOutcome.DUPLICATE: "Left out: nothing new in it",
    RowOutcome.BAD: "Left out",
}
BADGES: Final = {"new": "good", "update": "info", "duplicate": "", "bad": "bad"}

# Each function accepts how many new leads are about to have this CRM event, with an e-mail address and without. An app
# that reports CRM events appends one at start-up.
conversions_of_new_leads: Final[
    list[Callable[[Company, CrmEventKind, int, int], Sequence[ExpectedConversions]]]
] = []


@dataclass(frozen=True, slots=True)
class OutcomeTotal:
    """How many rows have one outcome. `start` and `width` are its part of a bar of 1,000."""

    outcome: str
    label: str
    what: str
    count: int
    start: int
    width: int
    problems: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column of the file: some of what is in it, and whether its field was guessed."""

    index: int
    name: str
    samples: str
    mark: str  # "Guessed", "Unsure", "Chosen" or ""


@dataclass(frozen=True, slots=True)
class FilePreview:
    """Some rows of the file as a format reads them, or why it can't. `has_letters`: beyond ASCII, such as ñ."""

    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    has_letters: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PreviewCell:
    """A cell as it is `stored` and as it is in the file, its problem, and whether it fills a field of a known lead.

    `tone` is "wrong" if it is left out, "doubtful" if it is stored though it could mean something else. `meant` is the
    address that was probably meant, "" if there is no likely typo.
    """

    label: str
    text: str
    stored: str = ""
    problem: str = ""
    tone: str = ""
    fills: bool = False
    meant: str = ""

    @property
    def shown(self) -> str:
        """What is stored, or else what is in the file."""
        return self.stored or self.text

    @property
    def differs(self) -> bool:
        """True if something is stored, and does not look as in the file."""
        return bool(self.stored and self.text) and self.stored != " ".join(
            self.text.split()
        )


@dataclass(frozen=True, slots=True)
class PreviewRow:
    row: LeadImportRow
    cells: Sequence[PreviewCell]
    badge: str
    problem: str = ""  # if it isn't that of a cell shown


@dataclass(frozen=True, slots=True)
class Conversions:
    """What would be sent to LinkedIn for the new records, by rule. It accepts no events as old as `too_old` ones."""

    rules: Sequence[ExpectedConversions] = field(default_factory=list)
    too_old: int = 0

    @property
    def count(self) -> int:
        return sum(rule.total for rule in self.rules)

    @property
    def later(self) -> int:
        return sum(rule.later for rule in self.rules)


def totals(
    counts: Mapping[str, int], *, noun: str = "lead", with_problems: bool = True
) -> list[OutcomeTotal]:
    """The four outcomes, always in the same order. Their counts add up to the number of rows."""
    whole = sum(counts.get(outcome, 0) for outcome in RowOutcome) or 1
    result, start = [], 0
    for outcome in RowOutcome:
        count = counts.get(outcome, 0)
        width = round(1000 * count / whole)
        problems = []
        if with_problems and outcome == RowOutcome.BAD:
            problems = list(_problems(counts))
        what = WHAT[outcome].format(noun)
        if problems:
            what = f"{what}, by reason:"
        result.append(
            OutcomeTotal(outcome, outcome.label, what, count, start, width, problems)
        )
        start += width
    return result


def _problems(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    found = [
        (problem.label, counts[PROBLEM + problem])
        for problem in RowProblem
        if counts.get(PROBLEM + problem)
    ]
    yield from sorted(found, key=lambda pair: -pair[1])


def conversions(lead_import: LeadImport) -> Conversions:
    """What each rule would send of the new leads, in one query for each CRM event."""
    kinds = object_of(lead_import).kinds
    now = [rule for kind in kinds for rule in _expected(lead_import, kind)]
    old = [rule for kind in kinds for rule in _expected(lead_import, kind + TOO_OLD)]
    return Conversions(now, sum(rule.total for rule in old))


def _expected(lead_import: LeadImport, counted: str) -> list[ExpectedConversions]:
    """What each rule would send for the CRM events that are counted by this name, besides those that come later."""
    now = lead_import.planned.get(counted, 0)
    later = lead_import.planned.get(counted + LATER, 0)
    kind = CrmEventKind(counted.removesuffix(TOO_OLD))
    if not now + later:
        return []
    company = lead_import.company
    return [
        rule
        for expected in conversions_of_new_leads
        for rule in expected(company, kind, now, later)
    ]


def file_preview(lead_import: LeadImport, chosen: TextFormat) -> FilePreview:
    """The file's first rows in this format, those with letters beyond ASCII if there are any.

    Reads the beginning of the file alone: all of a large one would take a tenth of a second for each choice.
    """
    own = LeadImportFile.objects.for_company(lead_import.company_id).filter(
        lead_import=lead_import
    )
    [begin] = own.values_list(Substr("content", 1, PREVIEWED_BYTES)) or [(b"",)]
    try:
        table = read_table(bytes(begin[0]), chosen)
        rows = [row.cells for row in islice(table.rows, PREVIEWED_OF_FILE)]
    except UnreadableFile as error:
        return FilePreview(problem=str(error))
    telling = [row for row in [table.header, *rows] if not "".join(row).isascii()]
    return FilePreview(
        table.header, (telling or rows)[:ROWS_OF_FILE], has_letters=bool(telling)
    )


def columns(lead_import: LeadImport, guesses: ColumnGuesses) -> list[ColumnView]:
    """The columns of the file."""
    pairs = zip(lead_import.header, guesses.by(guesses.preset), strict=True)
    return [
        ColumnView(
            index,
            name,
            _samples(guesses.rows, index),
            _mark(guess.field, guess.is_sure, lead_import.columns[index]),
        )
        for index, (name, guess) in enumerate(pairs)
    ]


def _samples(rows: Iterable[Sequence[str]], index: int) -> str:
    values = dict.fromkeys(
        row[index] for row in rows if index < len(row) and row[index]
    )
    return ", ".join([value[:60] for value in values][:SAMPLES_SHOWN])


def _mark(guess: str, is_sure: bool, chosen: str) -> str:
    if chosen == LEFT_OUT:
        return ""
    if chosen != guess:
        return "Chosen"
    return "Guessed" if is_sure else "Unsure"


def preview(
    lead_import: LeadImport, outcome: str, shown: ShownCells
) -> list[PreviewRow]:
    """Twenty rows: the first with this outcome, or a few of each, in a fixed number of queries."""
    rows = LeadImportRow.objects.of(lead_import)
    if outcome in RowOutcome:
        chosen = list(rows.filter(outcome=outcome)[:PREVIEWED])
    else:
        chosen = [
            row for each in RowOutcome for row in rows.filter(outcome=each)[:OF_EACH]
        ]
    labels = labels_with(object_of(lead_import), shown.custom)
    return [
        _preview_row(lead_import, row, labels, shown)
        for row in sorted(chosen, key=lambda row: row.number)
    ]


def field_labels(lead_import: LeadImport) -> dict[str, str]:
    """The fields that a column can be, with the company's custom fields, by name. One query."""
    imported = object_of(lead_import)
    custom = typed_columns(lead_import)
    return labels_with(imported, custom)


def labels_with(
    imported: ImportedObject, custom: Mapping[str, CustomField]
) -> dict[str, str]:
    """The fields that a column can be, with these custom fields, by name."""
    labels = {name: field.label for name, field in imported.fields.items()}
    return {**labels, **{name: str(field) for name, field in custom.items()}}


def _preview_row(
    lead_import: LeadImport,
    row: LeadImportRow,
    labels: Mapping[str, str],
    shown: ShownCells,
) -> PreviewRow:
    mapped = [
        (index, name)
        for index, name in enumerate(lead_import.columns)
        if name in labels
    ]
    cells = [
        _preview_cell(row, index, name, labels[name], shown) for index, name in mapped
    ]
    is_elsewhere = row.problem and row.column not in [index for index, _ in mapped]
    problem = RowProblem(row.problem).label if is_elsewhere else ""
    return PreviewRow(row, cells, BADGES.get(row.outcome, ""), problem)


def _preview_cell(
    row: LeadImportRow, index: int, name: str, label: str, shown: ShownCells
) -> PreviewCell:
    text = row.cells[index] if index < len(row.cells) else ""
    problem = (
        row.problem
        if row.column == index
        else (row.cell_problems or {}).get(str(index), "")
    )
    stored = shown.stored_of(row, index)
    meant = meant_address(stored or text) if name == "email" and not problem else ""
    return PreviewCell(
        label,
        text,
        stored,
        RowProblem(problem).label if problem else "",
        _tone(problem, meant),
        _fills(row, index, name),
        meant,
    )


def _tone(problem: str, meant: str) -> str:
    if problem in DOUBTS or meant:
        return "doubtful"
    return "wrong" if problem else ""


def _fills(row: LeadImportRow, index: int, name: str) -> bool:
    """True if the cell fills an empty field of a known lead."""
    names = {"first_name", "last_name"} if name == "full_name" else {name}
    return (
        index < len(row.cells)
        and bool(row.cells[index])
        and bool(names & row.filled.keys())
    )


def bad_rows(lead_import: LeadImport) -> Iterator[list[str]]:
    """The bad rows as they were, each with its reason."""
    width = len(lead_import.header)
    for row in (
        LeadImportRow.objects.of(lead_import)
        .filter(outcome=RowOutcome.BAD)
        .iterator(chunk_size=1000)
    ):
        cells = [*row.cells, *[""] * (width - len(row.cells))]
        yield [*cells[:width], RowProblem(row.problem).label]


def undone(lead_import: LeadImport) -> dict[str, int]:
    """How many rows an undo has processed, by result, in one query each."""
    rows = LeadImportRow.objects.of(lead_import)
    return {outcome.value: rows.filter(undo=outcome).count() for outcome in RowUndo}


def has_rows(lead_import: LeadImport) -> bool:
    """False once the rows have been deleted, a week after the end."""
    return LeadImportRow.objects.of(lead_import).exists()


def has_file(lead_import: LeadImport) -> bool:
    """True if its file can be read in another format: a text file, until the import starts or anyone is erased."""
    return (
        LeadImportFile.objects.for_company(lead_import.company_id)
        .filter(lead_import=lead_import)
        .exists()
    )
