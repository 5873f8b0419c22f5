"""Decides the outcome of each row of a chunk: new, an update, a duplicate, or bad. Writes nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from crm.data_exchange.importing.cells import SHARED
from crm.data_exchange.importing.custom_columns import set_value
from crm.data_exchange.importing.objects.definition import ImportedObject
from crm.data_exchange.importing.objects.registry import object_of
from crm.data_exchange.importing.rows import JudgedRow, StoredRow
from crm.data_exchange.importing.tagging import TAGS
from crm.data_exchange.importing.values import RowReader
from crm.models import LeadImport, LeadImportRow, RowOutcome

PROBLEM: Final = "bad:"  # prefix of the problem of a row in the counts
CELL: Final = "cell:{}:{}"  # the problem of a cell there, with the index of its column


def judge(
    lead_import: LeadImport,
    rows: Sequence[StoredRow],
    reader: RowReader,
    *,
    locks: bool,
    known: Mapping[str, int] | None = None,
) -> list[JudgedRow]:
    """The outcome of each row. Only the first of several rows about one record counts.

    With `locks`, the records that the rows are about can't change until the transaction ends. `known` has the number of
    the first earlier row with each key, if the caller knows them; else they are queried.
    """
    imported = object_of(lead_import)
    judged = [_read(row, reader) for row in rows]
    imported.resolve(lead_import, judged, locks=locks)
    first = _first_rows(lead_import, judged, known)
    leading = {row.key: row.values for row in judged if _leads(row, first)}
    existing = imported.existing(lead_import, leading, locks=locks)
    for row in judged:
        if not row.is_bad:
            _decide(imported, row, first, existing, reader)
    return judged


def first_rows(judged: Iterable[JudgedRow]) -> dict[str, int]:
    """The number of the first row with each key, for the `known` of later chunks."""
    return {row.key: row.of_row or row.number for row in judged if row.key}


def count(imported: ImportedObject, judged: Iterable[JudgedRow]) -> Counter[str]:
    """Counts rows by outcome and problem, cells by problem, and the CRM events that new records may cause."""
    counts: Counter[str] = Counter()
    for row in judged:
        counts[row.outcome] += 1
        if row.cell_problems:
            counts.update(CELL.format(*cell) for cell in row.cell_problems.items())
        if row.is_bad:
            counts[PROBLEM + row.problem] += 1
        elif row.is_new:
            counts.update(imported.events(row))
    return counts


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
    """The number of the first row about each record, in this chunk or before it."""
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
    imported: ImportedObject,
    row: JudgedRow,
    first: dict[str, int],
    existing: Mapping[str, Any],
    reader: RowReader,
) -> None:
    first.setdefault(row.key, row.number)
    if not _leads(row, first):
        row.outcome, row.of_row = RowOutcome.DUPLICATE.value, first[row.key]
        row.cell_problems = None  # none of its cells is imported
        return
    row.record = existing.get(row.key)
    if row.record is None:
        _decide_new(imported, row, first, reader)
        return
    row.news = imported.news(row.record, row.values)
    row.filled = {name: imported.as_stored(value) for name, value in row.news.items()}
    row.outcome = RowOutcome.UPDATE.value if row.news else RowOutcome.DUPLICATE.value
    # A later row about the same record finds these fields filled.
    for name, value in row.news.items():
        if name != TAGS:
            set_value(row.record, name, value)


def _decide_new(
    imported: ImportedObject, row: JudgedRow, first: dict[str, int], reader: RowReader
) -> None:
    if lacking := reader.lacks(row.values, row.cell_problems or {}):
        del first[row.key]  # a later row about the record may have what this one lacks
        row.refuse(*lacking)
        return
    imported.prepare_new(row)
    row.outcome = RowOutcome.NEW.value
    setattr(row, imported.record_column, row.reserved(imported.record_column))
