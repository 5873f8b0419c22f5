"""The work on imports: reading the file and checking its rows, importing them chunk by chunk, and undoing that."""

from collections.abc import Callable
from functools import partial
from typing import Final

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from crm.data_exchange.importing import storing
from crm.data_exchange.importing.created_entries import take_back_created
from crm.data_exchange.importing.judging import count, judge
from crm.data_exchange.importing.objects.registry import object_of
from crm.data_exchange.importing.reading import MAX_ROWS, Table
from crm.data_exchange.importing.rows import STORED, JudgedRow
from crm.data_exchange.importing.spreadsheets import UnreadableFile
from crm.data_exchange.importing.storing import (
    CELLS,
    NUMBER,
    LeftToWorker,
    open_file,
    read_rows,
    reader_of,
    survey_columns,
)
from crm.data_exchange.importing.undoing import undo_chunk
from crm.data_exchange.importing.writing import (
    renew_keys,
    reserve_keys,
    save_rows,
    write,
)
from crm.jobs.runner import JobRunner
from crm.models import (
    ImportStep,
    LeadImport,
    LeadImportRow,
    RowOutcome,
    many_rows,
)
from crm.models.job import JobState
from crm.models.lead_import import add_counts
from crm.models.tracking.origin import acting_as
from postgresql.statistics import CHANGED_ROWS

MARKED_AT_ONCE: Final = 1_000


class ImportRunner(JobRunner[LeadImport]):
    """Files with more than `rows_at_once` rows are not read: `advance` raises LeftToWorker."""

    model = LeadImport
    noun = "Import"
    cancel_url = "lead_import_cancel"
    failed = "Something went wrong on our side. Undo the import, or ask the operator of LeadMachine to check the log."
    passing = (LeftToWorker,)

    def __init__(self, rows_at_once: int = MAX_ROWS) -> None:
        self._rows_at_once = rows_at_once

    def usual_chunk(self, job: LeadImport) -> int:
        return storing.CHUNK

    def next_chunk(self, pk: int) -> bool:
        table = open_file(pk)
        return (
            super().next_chunk(pk)
            if table is None
            else self.transact(pk, partial(self._read, table))
        )

    def _read(self, table: Table | UnreadableFile, job: LeadImport) -> None:
        if job.step == ImportStep.READING:  # else another process has just read it
            with timezone.override(job.company.time_zone):
                read_rows(job, table, self._rows_at_once)

    def work(self, job: LeadImport) -> None:
        with timezone.override(job.company.time_zone):
            WORK[ImportStep(job.step)](job, self.size(job))


def _check(lead_import: LeadImport, size: int) -> None:
    """Judge the next rows, and save their expected outcomes. Before the first ones, decide how columns are read."""
    if not lead_import.reached:
        rows = LeadImportRow.objects.of(lead_import).values_list("number", "cells")
        survey_columns(lead_import, rows.iterator(chunk_size=storing.CHUNK))
        _mark_opted_out(lead_import)
    judged = _judge_next(lead_import, size, locks=False)
    imported = object_of(lead_import)
    reserve_keys(imported, judged)
    lead_import.planned = add_counts(lead_import.planned, count(imported, judged))
    save_rows(lead_import, judged)
    if len(judged) < size:
        lead_import.state = JobState.PAUSED


def _mark_opted_out(lead_import: LeadImport) -> None:
    """Mark the rows about people whom only other rows say not to share."""
    rows = LeadImportRow.objects.of(lead_import)
    cells = rows.values_list("number", "cells").iterator(chunk_size=storing.CHUNK)
    numbers = list(reader_of(lead_import).opted_out_elsewhere(cells))
    rows.filter(is_opted_out=True).update(is_opted_out=False)
    for start in range(0, len(numbers), MARKED_AT_ONCE):
        rows.filter(number__in=numbers[start : start + MARKED_AT_ONCE]).update(
            is_opted_out=True
        )


def _run(lead_import: LeadImport, size: int) -> None:
    """Judge the next rows again, because records may have been added since, and import them."""
    imported = object_of(lead_import)
    many_rows.count_again(
        imported.model, lead_import.done.get(RowOutcome.NEW, 0), using=DEFAULT_DB_ALIAS
    )
    judged = _judge_next(lead_import, size, locks=True)
    renew_keys(lead_import, judged)
    write(lead_import, judged)
    lead_import.done = add_counts(lead_import.done, count(imported, judged))
    if len(judged) < size:
        lead_import.finish()
        if lead_import.done.get(RowOutcome.NEW, 0) > CHANGED_ROWS:
            many_rows.count_now(imported.model, using=DEFAULT_DB_ALIAS)


def _judge_next(lead_import: LeadImport, size: int, *, locks: bool) -> list[JudgedRow]:
    """The outcomes of the next `size` rows. Moves `reached` to the last of them.

    With `locks`, the rows are judged again if a person in them was erased meanwhile: nothing identifies the erased lead
    any more, and the row would add it again. Once the leads are locked, an erasure waits for them.
    """
    rest = LeadImportRow.objects.of(lead_import).filter(number__gt=lead_import.reached)
    # Those of an import were added when it was started.
    reader = reader_of(lead_import, adds_entries=not locks)
    while rows := list(rest.values_list(*STORED)[:size]):
        lead_import.reached = rows[-1][NUMBER]
        judged = judge(lead_import, rows, reader, locks=locks)
        emptied = rest.filter(number__lte=lead_import.reached, cells=[])
        if not locks or emptied.count() == sum(not row[CELLS] for row in rows):
            return judged
    return []


def _undo(lead_import: LeadImport, size: int) -> None:
    with acting_as(lead_import.author, history_only=True):
        if not undo_chunk(lead_import, size):
            take_back_created(lead_import)
            lead_import.state = JobState.DONE


WORK: Final[dict[ImportStep, Callable[[LeadImport, int], None]]] = {
    ImportStep.CHECKING: _check,
    ImportStep.IMPORTING: _run,
    ImportStep.UNDOING: _undo,
}
advance: Final = ImportRunner().advance
