"""The work on imports: reading the file and checking its rows, importing them chunk by chunk, and undoing that.

A chunk is one transaction that locks the import's row: no two workers do the same chunk, and a process that dies has
done the whole chunk or none of it. The cursor is part of the transaction, and another worker continues from it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from django.db import DEFAULT_DB_ALIAS, DataError, Error, connection, transaction
from django.db.models.functions import Now

from crm.data_exchange.importing.column_readings import RowOfCells, as_json, readings_of, survey, with_usual
from crm.data_exchange.importing.columns import GUESSED_FROM, LEFT_OUT, REASON, guess_columns
from crm.data_exchange.importing.custom_columns import custom_columns
from crm.data_exchange.importing.judging import (
    JUDGEMENT,
    STORED,
    UNKNOWN,
    JudgedRow,
    StoredRow,
    count,
    first_rows,
    judge,
)
from crm.data_exchange.importing.reading import MAX_ROWS, FileRow, Table, read_table, unclosed_note
from crm.data_exchange.importing.spreadsheets import UnreadableFile
from crm.data_exchange.importing.text_formats import TextFormat
from crm.data_exchange.importing.undoing import take_back_created, undo_chunk
from crm.data_exchange.importing.values import RowReader
from crm.data_exchange.importing.writing import renew_keys, reserve_keys, save_rows, write
from crm.models import ImportState, Lead, LeadImport, LeadImportFile, LeadImportRow, RowOutcome, many_rows
from crm.models.contribution import Author, active_author
from crm.models.jobs import TOO_SLOW, timed_out_too_often
from crm.models.lead_import import BYTES_OF_A_ROW, BYTES_OF_UNREAD, add_counts
from crm.models.origin import acting_as
from crm.models.roles import Action
from crm.models.space import space_of
from postgresql.availability import took_too_long
from postgresql.bounds import LONG_SECONDS, statements_may_take
from postgresql.results import send_as_binary
from postgresql.statistics import CHANGED_ROWS

logger = logging.getLogger(__name__)

CHUNK: Final = 5_000
CHECKED_WHILE_READ: Final = 6.0  # seconds: an erasure waits while a file is being read
MARKED_AT_ONCE: Final = 1_000
REMEMBERED: Final = 20  # past imports that are searched for the same columns
NUMBER, CELLS, KNOWN_FROM = map(STORED.index, ("number", "cells", "key"))
NEW_ROW: Final = ("company_id", "lead_import_id", "number", "cells", "is_opted_out", *JUDGEMENT)
LOOKED_FOR: Final = ("company", "lead_import", "number", "key", "outcome", "lead")
FAILED: Final = (
    "Something went wrong on our side. Undo the import, or ask the operator of LeadMachine to check the log."
)
NO_LONGER_ALLOWED: Final = (
    "The person or API key that started it may no longer import leads. What was imported by then stays, unless you "
    "undo it."
)


class LeftToWorker(Exception):
    """The file has more rows than may be read now. None of them was stored."""


def advance(pk: int, *, rows_at_once: int = MAX_ROWS) -> bool:
    """Do the next chunk of an import. False if there is none, or another process is doing it.

    A file with more than `rows_at_once` rows is not read. An error ends the import, because every retry would fail
    too. A database error is raised instead, unless it is about the data or a statement has timed out too often.
    """
    try:
        return _advance(pk, rows_at_once)
    except LeftToWorker:
        return False
    except Exception as error:
        own, problem = LeadImport.objects.filter(pk=pk).at_work(), FAILED
        if took_too_long(error):
            own, problem = timed_out_too_often(own), TOO_SLOW
        elif isinstance(error, Error) and not isinstance(error, DataError):
            raise
        with transaction.atomic():
            if own.update(state=ImportState.FAILED, problem=problem, finished_at=Now()):
                LeadImportFile.objects.filter(lead_import=pk).delete()
            elif problem == TOO_SLOW:
                raise
        logger.exception("Import %s has failed.", pk)
        return False


def _advance(pk: int, rows_at_once: int) -> bool:
    table = _open_file(pk)
    with transaction.atomic():
        lead_import = LeadImport.objects.select_for_update(skip_locked=True).at_work().filter(pk=pk).first()
        if lead_import is None:
            return False
        with statements_may_take(LONG_SECONDS):
            if lead_import.state == ImportState.READING:
                _read(lead_import, table, rows_at_once)
            else:
                WORK[ImportState(lead_import.state)](lead_import)
            lead_import.timeouts = 0
            lead_import.save()
    return True


def _open_file(pk: int) -> Table | UnreadableFile | None:
    """The file of an import that is to be read, or why it can't be read; None if there is no such file.

    Takes no lock: a child process may read a spreadsheet for half a minute, and an erasure would wait that long.
    """
    files = LeadImportFile.objects.filter(lead_import=pk, lead_import__state=ImportState.READING)
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


def _read(lead_import: LeadImport, table: Table | UnreadableFile | None, rows_at_once: int) -> None:
    """Turn the file into rows, in one transaction: a file that can't be read to its end leaves none.

    One that was read before keeps the rows that it has if the format that someone asked for makes no table of it.
    """
    assert table is not None, "The file is gone."
    file = LeadImportFile.objects.for_company(lead_import.company_id).filter(lead_import=lead_import)
    try:
        if isinstance(table, UnreadableFile):
            raise table
        with transaction.atomic():
            LeadImportRow.objects.of(lead_import).delete()
            _add_rows(lead_import, table, rows_at_once)
    except UnreadableFile as error:
        lead_import.refresh_from_db()
        if lead_import.header:
            _keep_what_was_read(lead_import, error)
        else:
            _end(lead_import, ImportState.FAILED, str(error))
            file.delete()
    else:
        if not lead_import.file_format:
            file.delete()


def _keep_what_was_read(lead_import: LeadImport, error: UnreadableFile) -> None:
    lead_import.notes = [*lead_import.notes, f"It can't be read in the format that you chose. {error}"]
    checked = sum(lead_import.planned.get(outcome, 0) for outcome in RowOutcome)
    lead_import.state = ImportState.READY if checked == lead_import.row_count else ImportState.CHECKING


def _add_rows(lead_import: LeadImport, table: Table, rows_at_once: int) -> None:
    """Insert the rows of the file with their outcomes, based on guessed columns.

    Each row is then written only once, unless someone maps the columns. Rows that are read after CHECKED_WHILE_READ
    are checked later, chunk by chunk, to keep this transaction short.
    """
    sample = list(islice(table.rows, GUESSED_FROM))
    if not sample:
        raise UnreadableFile("This file has the names of columns, but no leads below them.")
    lead_import.header, lead_import.notes = list(table.header), table.notes
    lead_import.file_format = table.format.as_json if table.format else {}
    lead_import.row_count = lead_import.row_bytes = lead_import.reached = 0
    lead_import.planned = {}
    if len(lead_import.columns) != len(lead_import.header):
        lead_import.columns, lead_import.readings = _columns(lead_import, sample), []
    _survey(lead_import, ((row.number, row.cells) for row in table.rows))
    reader = _reader(lead_import)
    opted_out = set(reader.opted_out_elsewhere((row.number, row.cells) for row in table.rows))
    until = time.monotonic() + CHECKED_WHILE_READ
    space = space_of(lead_import.company_id)
    lead_import.state = ImportState.READY
    rows, first, unclosed = table.rows, dict[str, int](), list[int]()
    for chunk in iter(lambda: list(islice(rows, CHUNK)), []):
        if lead_import.row_count + len(chunk) > rows_at_once:
            raise LeftToWorker
        unclosed += [row.number for row in chunk if row.is_unclosed]
        new = [(0, row.number, row.cells, row.number in opted_out, *UNKNOWN) for row in chunk]
        _add_chunk(lead_import, new, reader, first, checks=time.monotonic() < until)
        if lead_import.read_bytes > space.left + BYTES_OF_UNREAD * lead_import.size:
            raise UnreadableFile(space.refusal("Nothing was imported"))
    if unclosed:
        lead_import.notes = [*table.notes, unclosed_note(unclosed)]
    if lead_import.row_count > CHANGED_ROWS:  # else PostgreSQL reads all rows of the file for each chunk of the import
        many_rows.count_now(LeadImportRow, *LOOKED_FOR, using=DEFAULT_DB_ALIAS)


def _add_chunk(
    lead_import: LeadImport, rows: Sequence[StoredRow], reader: RowReader, first: dict[str, int], *, checks: bool
) -> None:
    """Insert these rows, with their outcomes if it `checks` them. Adds the first row of each new key to `first`.

    All keys of the file are in memory, 20 MB for the largest file: to query them takes longer.
    """
    lead_import.row_count += len(rows)
    lead_import.row_bytes += sum(BYTES_OF_A_ROW + sum(map(len, row[CELLS])) for row in rows)
    judged: list[JudgedRow] = []
    if checks:
        judged = judge(lead_import, rows, reader, locks=False, known=first)
        first |= first_rows(judged)
        reserve_keys(judged)
        lead_import.planned = add_counts(lead_import.planned, count(judged))
        lead_import.reached = rows[-1][NUMBER]
    else:
        lead_import.state = ImportState.CHECKING
    _store(lead_import, rows, judged)


def _store(lead_import: LeadImport, rows: Sequence[StoredRow], judged: Sequence[JudgedRow]) -> None:
    judgements = [row.judgement for row in judged] or [(*UNKNOWN, {})] * len(rows)
    both = zip(rows, judgements, strict=True)
    new = ((lead_import.company_id, lead_import.pk, *row[NUMBER:KNOWN_FROM], *judgement) for row, judgement in both)
    many_rows.insert_rows(LeadImportRow, NEW_ROW, new, using=DEFAULT_DB_ALIAS)


def _columns(lead_import: LeadImport, sample: Sequence[FileRow]) -> list[str]:
    """The field of each column, from the company's last import with the same column names, or else guessed."""
    guesses = guess_columns(lead_import.header, [row.cells for row in sample], custom_columns(lead_import.company))
    return _remembered(lead_import) or [guess.field for guess in guesses]


def _remembered(lead_import: LeadImport) -> list[str]:
    """The fields of the columns in the company's last import with the same column names, or []."""
    alike = LeadImport.objects.for_company(lead_import.company_id).filter(started_at__isnull=False)
    names = [name for name in lead_import.header if name != REASON]
    for earlier in alike.order_by("-pk").values("header", "columns")[:REMEMBERED]:
        fields = dict(zip(earlier["header"], earlier["columns"], strict=True))
        if [name for name in earlier["header"] if name != REASON] == names:
            return [fields.get(name, LEFT_OUT) for name in lead_import.header]
    return []


def _survey(lead_import: LeadImport, rows: Iterable[RowOfCells]) -> None:
    """Decide how each column is read, from all rows."""
    author = _author(lead_import)
    may_add = author is not None and author.may(Action.MANAGE_COMPANY)
    pairs = zip(lead_import.columns, readings_of(lead_import), strict=True)
    readings = [with_usual(name, reading, may_add=may_add) for name, reading in pairs]
    custom = custom_columns(lead_import.company)
    lead_import.readings = as_json(survey(lead_import.columns, readings, custom, rows))


def _reader(lead_import: LeadImport, *, adds_tags: bool = True) -> RowReader:
    return RowReader(lead_import.company, lead_import.columns, readings_of(lead_import), adds_tags=adds_tags)


def _check(lead_import: LeadImport) -> None:
    """Judge the next rows, and save their expected outcomes. Before the first ones, decide how columns are read."""
    if not lead_import.reached:
        rows = LeadImportRow.objects.of(lead_import).values_list("number", "cells")
        _survey(lead_import, rows.iterator(chunk_size=CHUNK))
        _mark_opted_out(lead_import)
    judged = _judge_next(lead_import, locks=False)
    reserve_keys(judged)
    lead_import.planned = add_counts(lead_import.planned, count(judged))
    save_rows(lead_import, judged)
    if len(judged) < CHUNK:
        lead_import.state = ImportState.READY


def _mark_opted_out(lead_import: LeadImport) -> None:
    """Mark the rows about people whom only other rows say not to share."""
    rows = LeadImportRow.objects.of(lead_import)
    cells = rows.values_list("number", "cells").iterator(chunk_size=CHUNK)
    numbers = list(_reader(lead_import).opted_out_elsewhere(cells))
    rows.filter(is_opted_out=True).update(is_opted_out=False)
    for start in range(0, len(numbers), MARKED_AT_ONCE):
        rows.filter(number__in=numbers[start : start + MARKED_AT_ONCE]).update(is_opted_out=True)


def _run(lead_import: LeadImport) -> None:
    """Judge the next rows again, because leads may have been added since, and import them."""
    if not _may_go_on(lead_import):
        _end(lead_import, ImportState.FAILED, NO_LONGER_ALLOWED)
        return
    many_rows.count_again(Lead, lead_import.done.get(RowOutcome.NEW, 0), using=DEFAULT_DB_ALIAS)
    judged = _judge_next(lead_import, locks=True)
    renew_keys(lead_import, judged)
    write(lead_import, judged)
    lead_import.done = add_counts(lead_import.done, count(judged))
    if len(judged) < CHUNK:
        _end(lead_import, ImportState.DONE)
        if lead_import.done.get(RowOutcome.NEW, 0) > CHANGED_ROWS:
            many_rows.count_now(Lead, using=DEFAULT_DB_ALIAS)


def _may_go_on(lead_import: LeadImport) -> bool:
    """False if the person or API key was deactivated or may no longer import, or the company was switched off."""
    author = _author(lead_import)
    return author is not None and author.may(Action.IMPORT_LEADS)


def _author(lead_import: LeadImport) -> Author | None:
    return active_author(
        company_id=lead_import.company_id, user_id=lead_import.uploaded_by_id, api_key_id=lead_import.api_key_id
    )


def _judge_next(lead_import: LeadImport, *, locks: bool) -> list[JudgedRow]:
    """The outcomes of the next CHUNK rows. Moves `reached` to the last of them.

    With `locks`, the rows are judged again if a person in them was erased meanwhile: nothing identifies the erased lead
    any more, and the row would add it again. Once the leads are locked, an erasure waits for them.
    """
    rest = LeadImportRow.objects.of(lead_import).filter(number__gt=lead_import.reached)
    reader = _reader(lead_import, adds_tags=not locks)  # those of an import were added when it was started
    while rows := list(rest.values_list(*STORED)[:CHUNK]):
        lead_import.reached = rows[-1][NUMBER]
        judged = judge(lead_import, rows, reader, locks=locks)
        emptied = rest.filter(number__lte=lead_import.reached, cells=[])
        if not locks or emptied.count() == sum(not row[CELLS] for row in rows):
            return judged
    return []


def _undo(lead_import: LeadImport) -> None:
    with acting_as(lead_import.author, history_only=True):
        if not undo_chunk(lead_import, CHUNK):
            take_back_created(lead_import)
            lead_import.state = ImportState.UNDONE


def _end(lead_import: LeadImport, state: ImportState, problem: str = "") -> None:
    lead_import.state, lead_import.problem = state, problem
    lead_import.finished_at = Now()


WORK: Final[dict[ImportState, Callable[[LeadImport], None]]] = {
    ImportState.CHECKING: _check,
    ImportState.RUNNING: _run,
    ImportState.UNDOING: _undo,
}
