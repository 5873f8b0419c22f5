"""Decides what becomes of the rows of a chunk: new, an update, a duplicate, or bad. Writes nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crm.importing.custom_columns import set_value
from crm.importing.matching import SHARED, TAGS, existing_leads, news_for
from crm.importing.values import RowReader
from crm.models import CrmEventKind, Lead, LeadImport, LeadImportRow, RowOutcome, RowProblem

LATER: Final = ":later"  # after a CRM event in the counts: leads that have no e-mail address yet
PROBLEM: Final = "bad:"  # before a problem in the counts


@dataclass(slots=True)
class JudgedRow:
    """A row, what it says, and the existing lead that it is about. `news` is what it adds to that lead."""

    row: LeadImportRow
    values: dict[str, Any]
    lead: Lead | None = None
    news: dict[str, Any] = field(default_factory=dict)
    before: tuple[object, ...] = ()  # what was known of the row

    @property
    def has_changed(self) -> bool:
        """True if the row has to be written again."""
        return self.before != _known(self.row)


def judge(lead_import: LeadImport, rows: Sequence[LeadImportRow], reader: RowReader) -> list[JudgedRow]:
    """Fill in what becomes of each row. The first of several rows about one person counts."""
    judged = [_read(row, reader) for row in rows]
    first = _first_rows(lead_import, judged)
    leading = {each.row.key: each.values for each in judged if _leads(each.row, first)}
    leads = existing_leads(lead_import, leading)
    for each in judged:
        if each.row.outcome != RowOutcome.BAD:
            _decide(each, first, leads, reader)
    return judged


def count(judged: Iterable[JudgedRow]) -> Counter[str]:
    """The rows by outcome and problem, and the conversions that the new ones may cause."""
    counts: Counter[str] = Counter()
    for each in judged:
        counts[each.row.outcome] += 1
        if each.row.outcome == RowOutcome.BAD:
            counts[PROBLEM + each.row.problem] += 1
        elif each.row.outcome == RowOutcome.NEW and each.values.get(SHARED, True):
            counts.update(kind + ("" if each.values.get("email") else LATER) for kind in _kinds(each.values))
    return counts


def _kinds(values: dict[str, Any]) -> list[str]:
    status = values.get("status")
    reached = Lead.kinds_by_meaning.get(status.meaning) if status else None
    return [CrmEventKind.LEAD_CREATED.value, *([reached.value] if reached else [])]


def _read(row: LeadImportRow, reader: RowReader) -> JudgedRow:
    read, before = reader.read(row.cells), _known(row)
    row.key, row.problem, row.column = read.key, read.problem, read.column
    row.outcome, row.of_row, row.filled = RowOutcome.BAD if read.problem else "", None, {}
    return JudgedRow(row, read.values, before=before)


def _known(row: LeadImportRow) -> tuple[object, ...]:
    return row.key, row.outcome, row.problem, row.column, row.of_row, row.filled


def _first_rows(lead_import: LeadImport, judged: Sequence[JudgedRow]) -> dict[str, int]:
    """The number of the first row about each person, in this chunk or before it."""
    keys = {each.row.key for each in judged} - {""}
    before = LeadImportRow.objects.for_company(lead_import.company_id).filter(
        lead_import=lead_import, key__in=keys, number__lt=judged[0].row.number, of_row=None
    )
    first = dict(before.values_list("key", "number"))
    for each in judged:
        if each.row.key:
            first.setdefault(each.row.key, each.row.number)
    return first


def _leads(row: LeadImportRow, first: dict[str, int]) -> bool:
    return first.get(row.key) == row.number


def _decide(each: JudgedRow, first: dict[str, int], leads: dict[str, Lead], reader: RowReader) -> None:
    row = each.row
    first.setdefault(row.key, row.number)
    if not _leads(row, first):
        row.outcome, row.of_row = RowOutcome.DUPLICATE, first[row.key]
        return
    each.lead = leads.get(row.key)
    if each.lead is None and reader.lacks(each.values):
        del first[row.key]  # a later row about the person may have it
        row.outcome, row.problem, row.key = RowOutcome.BAD, RowProblem.REQUIRED, ""
        return
    if each.lead is None:
        row.outcome = RowOutcome.NEW
        return
    each.news = row.filled = news_for(each.lead, each.values)
    row.outcome = RowOutcome.UPDATE if each.news else RowOutcome.DUPLICATE
    for name, value in each.news.items():  # a later row about the same lead finds these fields filled
        if name != TAGS:
            set_value(each.lead, name, value)
