"""Reads the uploaded file into rows, in one transaction, and decides what its columns are and how they are read."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connection, transaction

from crm.data_exchange.importing.column_readings import (
    ColumnReading,
    RowOfCells,
    as_json,
    readings_of,
    remembered,
    survey,
    with_usual,
)
from crm.data_exchange.importing.columns import (
    GUESSED_FROM,
    REASON,
    guess_columns,
    guess_object,
    recognised,
)
from crm.data_exchange.importing.judging import count, first_rows, judge
from crm.data_exchange.importing.objects.definition import LEFT_OUT
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.reading import (
    FileRow,
    Table,
    read_table,
    unclosed_note,
)
from crm.data_exchange.importing.rows import (
    JUDGEMENT,
    STORED,
    UNKNOWN,
    JudgedRow,
    StoredRow,
)
from crm.data_exchange.importing.spreadsheets import UnreadableFile
from crm.data_exchange.importing.text_formats import TextFormat
from crm.data_exchange.importing.value_lists import value_lists
from crm.data_exchange.importing.values import RowReader
from crm.data_exchange.importing.writing import reserve_keys
from crm.jobs.runner import JobRefused
from crm.models import (
    CustomField,
    ImportStep,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    RowOutcome,
    many_rows,
)
from crm.models.job import JobState
from crm.models.lead_import import BYTES_OF_A_ROW, BYTES_OF_UNREAD, add_counts
from crm.models.space import space_of
from postgresql.results import send_as_binary
from postgresql.statistics import CHANGED_ROWS

CHUNK: Final = 5_000  # rows
CHECKED_WHILE_READ: Final = 6.0  # seconds: an erasure waits while a file is being read
REMEMBERED: Final = 20  # past imports that are searched for the same columns
NUMBER, CELLS, KNOWN_FROM = map(STORED.index, ("number", "cells", "key"))
NEW_ROW: Final = (
    "company_id",
    "lead_import_id",
    "number",
    "cells",
    "is_opted_out",
    *JUDGEMENT,
)
NEW: Final = ColumnReading()
LOOKED_FOR: Final = ("company", "lead_import", "number", "key", "outcome", "lead")


class LeftToWorker(Exception):
    """The file has more rows than may be read now. None of them was stored."""


def open_file(pk: int) -> Table | UnreadableFile | None:
    """The file of an import that is to be read, or why it can't be read; None if there is no such file.

    Takes no lock: a child process may read a spreadsheet for half a minute, and an erasure would wait that long.
    """
    unread = LeadImport.objects.filter(pk=pk, step=ImportStep.READING).at_work()
    files = LeadImportFile.objects.filter(lead_import__in=unread)
    with connection.cursor() as cursor:
        send_as_binary(cursor)
        cursor.execute(*files.values_list("content").query.sql_with_params())
        row = cursor.fetchone()
    if row is None:
        return None
    asked = files.values_list("asked_format", flat=True).first()
    try:
        return read_table(bytes(row[0]), TextFormat.of(asked or {}))
    except UnreadableFile as error:
        return error


def read_rows(
    lead_import: LeadImport, table: Table | UnreadableFile, rows_at_once: int
) -> None:
    """Turn the file into rows, in one transaction: a file that can't be read to its end leaves none.

    One that was read before keeps the rows that it has if the format that someone asked for makes no table of it.
    Raises LeftToWorker if the file has more than `rows_at_once` rows, and JobRefused if it can't be read.
    """
    file = LeadImportFile.objects.for_company(lead_import.company_id).filter(
        lead_import=lead_import
    )
    try:
        if isinstance(table, UnreadableFile):
            raise table
        with transaction.atomic():
            LeadImportRow.objects.of(lead_import).delete()
            _add_rows(lead_import, table, rows_at_once)
    except UnreadableFile as error:
        lead_import.refresh_from_db()
        if not lead_import.header:
            raise JobRefused(str(error)) from error
        _keep_what_was_read(lead_import, error)
    else:
        if not lead_import.file_format:
            file.delete()


def _keep_what_was_read(lead_import: LeadImport, error: UnreadableFile) -> None:
    lead_import.notes = [
        *lead_import.notes,
        f"It can't be read in the format that you chose. {error}",
    ]
    checked = sum(lead_import.planned.get(outcome, 0) for outcome in RowOutcome)
    lead_import.step = ImportStep.CHECKING
    if checked == lead_import.row_count:
        lead_import.state = JobState.PAUSED


def _add_rows(lead_import: LeadImport, table: Table, rows_at_once: int) -> None:
    """Insert the rows of the file with their outcomes, based on guessed columns.

    Each row is then written only once, unless someone maps the columns. Rows that are read after CHECKED_WHILE_READ
    are checked later, chunk by chunk, to keep this transaction short.
    """
    _describe(lead_import, table)
    survey_columns(lead_import, _cells(table))
    reader = reader_of(lead_import)
    opted_out = set(reader.opted_out_elsewhere(_cells(table)))
    until = time.monotonic() + CHECKED_WHILE_READ
    space = space_of(lead_import.company_id)
    lead_import.state, lead_import.step = JobState.PAUSED, ImportStep.CHECKING
    first: dict[str, int] = {}
    unclosed: list[int] = []
    for chunk in _chunks(table):
        if lead_import.row_count + len(chunk) > rows_at_once:
            raise LeftToWorker
        unclosed += [row.number for row in chunk if row.is_unclosed]
        new = [
            (0, row.number, row.cells, row.number in opted_out, *UNKNOWN)
            for row in chunk
        ]
        _add_chunk(lead_import, new, reader, first, checks=time.monotonic() < until)
        if lead_import.read_bytes > space.left + BYTES_OF_UNREAD * lead_import.size:
            raise UnreadableFile(space.refusal("Nothing was imported"))
    if unclosed:
        lead_import.notes = [*table.notes, unclosed_note(unclosed)]
    # Else PostgreSQL reads all rows of the file for each chunk of the import.
    if lead_import.row_count > CHANGED_ROWS:
        many_rows.count_now(LeadImportRow, *LOOKED_FOR, using=DEFAULT_DB_ALIAS)


def _describe(lead_import: LeadImport, table: Table) -> None:
    """Set what the file holds and what its columns are, by a guess unless someone has said so before."""
    sample = [row.cells for row in islice(table.rows, GUESSED_FROM)]
    if not sample:
        raise UnreadableFile(
            "This file has the names of columns, but no rows below them."
        )
    lead_import.header, lead_import.notes = list(table.header), table.notes
    lead_import.file_format = table.format.as_json if table.format else {}
    lead_import.row_count = lead_import.row_bytes = lead_import.reached = 0
    lead_import.planned = {}
    if not lead_import.subject:
        lead_import.subject = guess_object(lead_import.header).subject
    if len(lead_import.columns) != len(lead_import.header):
        _guess_columns(lead_import, sample)


def _cells(table: Table) -> Iterator[RowOfCells]:
    """Each row's number and cells."""
    for row in table.rows:
        yield row.number, row.cells


def _chunks(table: Table) -> Iterator[list[FileRow]]:
    rows = table.rows
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _add_chunk(
    lead_import: LeadImport,
    rows: Sequence[StoredRow],
    reader: RowReader,
    first: dict[str, int],
    *,
    checks: bool,
) -> None:
    """Insert these rows, with their outcomes if it `checks` them. Adds the first row of each new key to `first`.

    All keys of the file are in memory, 20 MB for the largest file: to query them takes longer.
    """
    lead_import.row_count += len(rows)
    lead_import.row_bytes += sum(
        BYTES_OF_A_ROW + sum(map(len, row[CELLS])) for row in rows
    )
    judged: list[JudgedRow] = []
    if checks:
        judged = judge(lead_import, rows, reader, locks=False, known=first)
        first |= first_rows(judged)
        imported = object_of(lead_import)
        reserve_keys(imported, judged)
        counts = count(imported, judged)
        lead_import.planned = add_counts(lead_import.planned, counts)
        lead_import.reached = rows[-1][NUMBER]
    else:
        lead_import.state = JobState.RUNNING
    _store(lead_import, rows, judged)


def _store(
    lead_import: LeadImport, rows: Sequence[StoredRow], judged: Sequence[JudgedRow]
) -> None:
    judgements = [row.judgement for row in judged] or [(*UNKNOWN, {})] * len(rows)
    both = zip(rows, judgements, strict=True)
    new = (
        (lead_import.company_id, lead_import.pk, *row[NUMBER:KNOWN_FROM], *judgement)
        for row, judgement in both
    )
    many_rows.insert_rows(LeadImportRow, NEW_ROW, new, using=DEFAULT_DB_ALIAS)


def _guess_columns(lead_import: LeadImport, sample: Sequence[Sequence[str]]) -> None:
    """Decide what each column is: as in the company's last import with the same column names, or else by a guess."""
    if earlier := _alike(lead_import):
        columns = [earlier.get(name, (LEFT_OUT, NEW)) for name in lead_import.header]
        lead_import.columns = [field for field, _ in columns]
        lead_import.readings = as_json(reading for _, reading in columns)
        return
    imported = object_of(lead_import)
    guesses = guess_columns(
        imported,
        lead_import.header,
        sample,
        typed_columns(lead_import),
        recognised(imported, lead_import.header),
    )
    lead_import.columns = [guess.field for guess in guesses]
    lead_import.readings = []


def guess_again(lead_import: LeadImport) -> None:
    """Guess the columns, because the file holds something else than before. Its rows lose their outcomes."""
    rows = LeadImportRow.objects.of(lead_import)
    _guess_columns(
        lead_import, [row.cells for row in rows.only("cells")[:GUESSED_FROM]]
    )
    rows.update(
        key="",
        outcome="",
        problem="",
        column=None,
        of_row=None,
        lead=None,
        record_id=None,
        cell_problems=None,
        filled={},
    )


def _alike(lead_import: LeadImport) -> dict[str, tuple[str, ColumnReading]]:
    """The field and what is remembered of each column in the last import with the same column names, or {}."""
    own = LeadImport.objects.for_company(lead_import.company_id)
    same = own.filter(subject=lead_import.subject)
    started = same.filter(started_at__isnull=False).order_by("-pk")
    names = [name for name in lead_import.header if name != REASON]
    known = started.only("company", "header", "columns", "readings")
    for earlier in known[:REMEMBERED]:
        if [name for name in earlier.header if name != REASON] == names:
            readings = map(remembered, readings_of(earlier))
            columns = zip(earlier.columns, readings, strict=True)
            return dict(zip(earlier.header, columns, strict=True))
    return {}


def survey_columns(lead_import: LeadImport, rows: Iterable[RowOfCells]) -> None:
    """Decide how each column is read, from all rows."""
    may_add = lead_import.may_manage_company()
    pairs = zip(lead_import.columns, readings_of(lead_import), strict=True)
    custom = typed_columns(lead_import)
    readings = [
        with_usual(name, reading, custom, may_add=may_add) for name, reading in pairs
    ]
    surveyed = survey(lead_import.columns, readings, custom, rows)
    lead_import.readings = as_json(_with_digests(lead_import, surveyed, custom))


def _with_digests(
    lead_import: LeadImport,
    readings: Sequence[ColumnReading],
    custom: Mapping[str, CustomField],
) -> Iterator[ColumnReading]:
    """The readings, with the digest of each list that a column has its values from."""
    lists = value_lists(
        object_of(lead_import).lists, lead_import.company, lead_import.columns, custom
    )
    for name, reading in zip(lead_import.columns, readings, strict=True):
        digest = lists[name].digest if name in lists else ""
        yield replace(reading, list_digest=digest)


def reader_of(lead_import: LeadImport, *, adds_entries: bool = True) -> RowReader:
    return RowReader(
        object_of(lead_import),
        lead_import.company,
        lead_import.columns,
        readings_of(lead_import),
        adds_entries=adds_entries,
    )
