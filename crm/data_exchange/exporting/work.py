"""The work on exports, chunk by chunk.

A chunk is one transaction that locks the export's row: no two workers write the same chunk, and a process that dies has
written the whole chunk or none of it. It also locks the company's row, as an erasure does: no chunk that read a person
before their erasure is stored after it.
"""

import logging
from typing import Final

from django.db import InterfaceError, InternalError, OperationalError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from crm.data_exchange.exporting import archive, lists
from crm.data_exchange.exporting.cells import as_csv, as_json
from crm.data_exchange.exporting.spreadsheets import pack
from crm.models import DataExport, ExportFormat, ExportKind, ExportPart, ExportState
from crm.models.contribution import active_author
from crm.models.jobs import TOO_SLOW, timed_out_too_often
from crm.models.space import space_of
from postgresql.availability import took_too_long
from postgresql.bounds import LONG_SECONDS, statements_may_take

logger = logging.getLogger(__name__)

FAILED: Final = "Something went wrong on our side. Export again, or ask the operator of LeadMachine to check the log."
NO_LONGER_ALLOWED: Final = "The person who asked for it may no longer export this."
KEY_NO_LONGER_ALLOWED: Final = "The API key that asked for it no longer works, or may no longer export this."


def advance(pk: int) -> bool:
    """Do the next chunk of an export. False if there is none, or another process is doing it.

    An error ends the export, because every retry would fail too. An error of an unavailable or slow database is raised
    instead, unless a statement has timed out too often.
    """
    try:
        return _write_chunk(pk) or pack(pk)
    except (OperationalError, InterfaceError, InternalError) as error:  # InternalError: it is read-only
        if not took_too_long(error):
            raise
        own = timed_out_too_often(DataExport.objects.filter(pk=pk).at_work())
        if not own.end_without_file(ExportState.FAILED, TOO_SLOW):
            raise
        logger.exception("Export %s has failed.", pk)
        return False
    except Exception:
        logger.exception("Export %s has failed.", pk)
        DataExport.objects.filter(pk=pk).end_without_file(ExportState.FAILED, FAILED)
        return False


def _write_chunk(pk: int) -> bool:
    with transaction.atomic():
        waiting = DataExport.objects.filter(pk=pk, state=ExportState.WRITING).select_related("company")
        data_export = waiting.select_for_update(no_key=True, skip_locked=True, of=("self", "company")).first()
        if data_export is None:
            return False
        if not _may_go_on(data_export):
            problem = KEY_NO_LONGER_ALLOWED if data_export.api_key_id else NO_LONGER_ALLOWED
            return DataExport.objects.filter(pk=pk).end_without_file(ExportState.FAILED, problem)
        with timezone.override(data_export.company.time_zone), statements_may_take(LONG_SECONDS):
            _write(data_export)
            data_export.timeouts = 0
            data_export.save()
        space = space_of(data_export.company_id)
        if not space.left:
            DataExport.objects.filter(pk=pk).end_without_file(ExportState.FAILED, space.refusal("Nothing was exported"))
    return True


def _may_go_on(data_export: DataExport) -> bool:
    """False if the person or API key was deactivated or may no longer export this, or the company was switched off."""
    author = active_author(
        company_id=data_export.company_id, user_id=data_export.made_by_id, api_key_id=data_export.api_key_id
    )
    return author is not None and author.may(data_export.needs)


def _write(data_export: DataExport) -> None:
    part = ExportPart(company_id=data_export.company_id, data_export=data_export, file=data_export.file)
    rows = (archive if data_export.kind == ExportKind.COMPANY else lists).next_rows(data_export)
    content = as_json(rows) if data_export.format == ExportFormat.XLSX else as_csv(rows)
    if content:
        data_export.stored += part.write(content)
        data_export.size += len(content)
    if _is_complete(data_export):
        is_packed = data_export.format == ExportFormat.XLSX
        data_export.state = ExportState.PACKING if is_packed else ExportState.DONE
        data_export.finished_at = None if is_packed else Now()


def _is_complete(data_export: DataExport) -> bool:
    if data_export.kind == ExportKind.COMPANY:
        return data_export.file == len(archive.FILES)
    return data_export.reached >= data_export.row_count
