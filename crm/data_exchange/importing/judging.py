"""Decides the outcome of each row of a chunk: new, an update, a duplicate, or bad. Writes nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crm.data_exchange.importing.cells import SHARED
from crm.data_exchange.importing.custom_columns import set_value
from crm.data_exchange.importing.matching import TAGS, existing_leads, news_for
from crm.data_exchange.importing.values import RowReader
from crm.models import (
    CrmEventKind,
    Lead,
    LeadImport,
    LeadImportRow,
    RowOutcome,
    RowProblem,
)

# Suffix of a CRM event in the counts: its leads have no e-mail address yet.
LATER: Final = ":later"
PROBLEM: Final = "bad:"  # prefix of the problem of a row in the counts
CELL: Final = "cell:{}:{}"  # the problem of a cell there, with the index of its column


KNOWN: Final = (
    "key",
    "outcome",
    "problem",
    "column",
    "of_row",
    "lead_id",
    "cell_problems",
)
STORED: Final = ("pk", "number", "cells", "is_opted_out", *KNOWN)
# The `KNOWN` of a row that is judged for the first time.
UNKNOWN: Final = ("", "", "", None, None, None, None)
JUDGEMENT: Final = (*KNOWN, "filled")

OUTCOME: Final = KNOWN.index("outcome")
LEAD: Final = KNOWN.index("lead_id")

StoredRow = tuple[Any, ...]  # the `STORED` fields of a `LeadImportRow`


@dataclass(slots=True)
class JudgedRow:
    """A row and its outcome, as in `LeadImportRow`, its values, and the existing `lead` that it is about.

    `news` is what it adds to that lead. Not a model: Django takes longer to create one than it takes to judge a row.
    """

    pk: int
    number: int
    before: tuple[Any, ...]  # its `KNOWN`
    values: dict[str, Any]
    key: str = ""
    outcome: str = ""
    problem: str = ""
    column: int | None = None
    of_row: int | None = None
    lead_id: int | None = None
    cell_problems: dict[str, str] | None = None
    filled: dict[str, Any] = field(default_factory=dict)
    lead: Lead | None = None
    news: dict[str, Any] = field(default_factory=dict)

    @property
    def judgement(self) -> tuple[object, ...]:
        """The values of `JUDGEMENT`."""
        return (
            self.key,
            self.outcome,
            self.problem,
            self.column,
            self.of_row,
            self.lead_id,
            self.cell_problems,
            self.filled,
        )

    @property
    def is_new(self) -> bool:
        return self.outcome == RowOutcome.NEW

    @property
    def reserved(self) -> int | None:
        """The key that was reserved for its lead when it was last judged, if it was new then."""
        return self.before[LEAD] if self.before[OUTCOME] == RowOutcome.NEW else None

    @property
    def has_changed(self) -> bool:
        """True if the row has to be saved. One that fills a lead always is: its stored `filled` is not read."""
        return bool(self.filled) or self.before != self.judgement[:-1]


def judge(
    lead_import: LeadImport,
    rows: Sequence[StoredRow],
    reader: RowReader,
    *,
    locks: bool,
    known: Mapping[str, int] | None = None,
) -> list[JudgedRow]:
    """The outcome of each row. Only the first of several rows about one person counts.

    With `locks`, the leads that the rows are about can't change until the transaction ends. `known` has the number of
    the first earlier row with each key, if the caller knows them; else they are queried.
    """
    judged = [_read(row, reader) for row in rows]
    first = _first_rows(lead_import, judged, known)
    leading = {row.key: row.values for row in judged if _leads(row, first)}
    leads = existing_leads(lead_import, leading, locks=locks)
    for row in judged:
        if row.outcome != RowOutcome.BAD:
            _decide(row, first, leads, reader)
    return judged


def first_rows(judged: Iterable[JudgedRow]) -> dict[str, int]:
    """The number of the first row with each key, for the `known` of later chunks."""
    return {row.key: row.of_row or row.number for row in judged if row.key}


def count(judged: Iterable[JudgedRow]) -> Counter[str]:
    """Counts the rows by outcome and problem, the cells by problem, and the CRM events that new leads may cause."""
    counts: Counter[str] = Counter()
    for row in judged:
        counts[row.outcome] += 1
        if row.cell_problems:
            counts.update(CELL.format(*cell) for cell in row.cell_problems.items())
        if row.outcome == RowOutcome.BAD:
            counts[PROBLEM + row.problem] += 1
        elif row.is_new and row.values.get(SHARED, True):
            later = "" if row.values.get("email") else LATER
            for kind in _kinds(row.values):
                counts[kind + later] += 1
    return counts


def _kinds(values: dict[str, Any]) -> list[str]:
    status = values.get("status")
    reached = Lead.kinds_by_meaning.get(status.meaning) if status else None
    return [CrmEventKind.LEAD_CREATED.value, *([reached.value] if reached else [])]


def _read(row: StoredRow, reader: RowReader) -> JudgedRow:
    pk, number, cells, is_opted_out, *before = row
    read = reader.read(cells)
    if is_opted_out:
        read.values[SHARED] = False
    outcome = RowOutcome.BAD.value if read.problem else ""
    return JudgedRow(
        pk,
        number,
        tuple(before),
        read.values,
        read.key,
        outcome,
        read.problem,
        read.column,
        cell_problems=read.cells or None,
    )


def _first_rows(
    lead_import: LeadImport,
    judged: Sequence[JudgedRow],
    known: Mapping[str, int] | None,
) -> dict[str, int]:
    """The number of the first row about each person, in this chunk or before it."""
    keys = {row.key for row in judged} - {""}
    if known is None:
        own = LeadImportRow.objects.for_company(lead_import.company_id).filter(
            lead_import=lead_import, of_row=None
        )
        before = own.filter(key__one_of_texts=keys, number__lt=judged[0].number)
        first = dict(before.values_list("key", "number"))
    else:
        first = {key: known[key] for key in keys & known.keys()}
    for row in judged:
        if row.key:
            first.setdefault(row.key, row.number)
    return first


def _leads(row: JudgedRow, first: dict[str, int]) -> bool:
    return first.get(row.key) == row.number


def _decide(
    row: JudgedRow, first: dict[str, int], leads: dict[str, Lead], reader: RowReader
) -> None:
    first.setdefault(row.key, row.number)
    if not _leads(row, first):
        row.outcome, row.of_row = RowOutcome.DUPLICATE.value, first[row.key]
        row.cell_problems = None  # none of its cells is imported
        return
    row.lead = leads.get(row.key)
    problems = row.cell_problems or {}
    if row.lead is None and (lacking := reader.lacks(row.values, problems)):
        del first[row.key]  # a later row about the person may have what this one lacks
        row.outcome, row.key, row.cell_problems = RowOutcome.BAD.value, "", None
        row.problem, row.column = lacking
        return
    if row.lead is None:
        if RowProblem.CONSENT_UNCLEAR in problems.values():
            row.values[SHARED] = False  # whoever may not have agreed is not shared
        row.outcome, row.lead_id = RowOutcome.NEW.value, row.reserved
        return
    row.news = row.filled = news_for(row.lead, row.values)
    row.outcome = RowOutcome.UPDATE.value if row.news else RowOutcome.DUPLICATE.value
    # A later row about the same lead finds these fields filled.
    for name, value in row.news.items():
        if name != TAGS:
            set_value(row.lead, name, value)
