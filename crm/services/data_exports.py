"""Requesting, cancelling and deleting exports. The work itself is in `crm.data_exchange.exporting`."""

from collections.abc import Iterable, Sequence
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F

from crm.data_exchange.exporting import archive, list_rows
from crm.data_exchange.exporting.spreadsheets import MAX_ROWS
from crm.data_exchange.exporting.work import advance
from crm.lists.registry import LISTS
from crm.models import (
    AuditAction,
    Company,
    DataExport,
    ExportFormat,
    ExportPart,
    ExportSelection,
    Membership,
)
from crm.models.contribution import Author
from crm.models.data_export import WHOLE_COMPANY
from crm.models.job import JobState
from crm.models.key_selection import packed_keys
from crm.models.space import require_room
from crm.services import audit, rate_limits
from postgresql.bounds import LONG_SECONDS, statements_may_take

AT_A_TIME: Final = 2  # of a company
KEPT_AT_MOST: Final = 10  # per member or API key
CHUNKS_AT_ONCE: Final = 3  # of an export that is written while the member waits
NOTHING: Final = "There is nothing to export: no row matches these filters."
BUSY: Final = f"Your company is making {AT_A_TIME} exports at the moment. Wait until one is done, or cancel it."
TOO_LONG: Final = (
    f"A sheet has room for {MAX_ROWS:,} rows. Choose CSV, or narrow the list down."
)
ERASED_SINCE: Final = "Someone who may be in this file has been erased. Export again."


def export_list(
    *,
    author: Author,
    kind: str,
    file_format: ExportFormat,
    keys: Iterable[int],
    columns: Sequence[str],
    filters: Sequence[str],
) -> DataExport:
    """Queue an export of the rows of the list with this key and with these ids, in this order.

    `columns`: the keys of the list's columns to export, or none for all. `filters`: the names of the filters in use,
    for the audit log. Raises ValidationError, and TooOften if the company exports too often.
    """
    check_rate(author.company_id)
    _refuse_if_busy(author.company)
    with statements_may_take(LONG_SECONDS):
        packed, count = packed_keys(keys)
    if not count:
        raise ValidationError(NOTHING)
    if file_format == ExportFormat.XLSX and count > MAX_ROWS:
        raise ValidationError(TOO_LONG)
    details: audit.Details = {
        "columns": "shown" if columns else "all",
        "filters": list(filters),
    }
    fixed = [
        column.key for column in LISTS[kind].columns_in_file(author.company, columns)
    ]
    new = DataExport(
        kind=kind,
        format=file_format,
        row_count=count,
        columns=fixed,
        stored=len(packed),
    )
    with transaction.atomic():
        _add(new, author, details)
        ExportSelection.objects.create(
            company=author.company, data_export=new, keys=packed
        )
    return new


def export_company(*, membership: Membership) -> DataExport:
    """Queue an export of all the company's data as a ZIP archive. Raises ValidationError and TooOften."""
    check_rate(membership.company_id)
    _refuse_if_busy(membership.company)
    with statements_may_take(LONG_SECONDS):
        count = archive.count_rows(membership.company)
    new = DataExport(kind=WHOLE_COMPANY, format=ExportFormat.ZIP, row_count=count)
    with transaction.atomic():
        _add(new, membership, {})
    return new


def _add(new: DataExport, author: Author, details: audit.Details) -> None:
    """Save the export and its audit log entry, and delete the author's finished ones beyond KEPT_AT_MOST."""
    Company.objects.hold(author.company_id)
    _refuse_if_busy(author.company)
    # A byte for each row, at least.
    require_room(author.company_id, new.row_count, outcome="Nothing was exported")
    new.company = author.company
    if isinstance(author, Membership):
        new.made_by = author.user
    else:
        new.api_key = author
    new.save()
    details = {
        "what": new.what.lower(),
        "format": new.format,
        "rows": new.row_count,
        **details,
    }
    audit.record(
        company=author.company,
        action=AuditAction.EXPORT,
        about=new,
        details=details,
        actor=new.author,
    )
    own = DataExport.objects.by(author)
    oldest = (
        own.exclude(pk=new.pk)
        .order_by("-pk")
        .values_list("pk", flat=True)[KEPT_AT_MOST - 1 :]
    )
    own.filter(pk__in=list(oldest), finished_at__isnull=False).delete()


def _refuse_if_busy(company: Company) -> None:
    if DataExport.objects.for_company(company).at_work().count() >= AT_A_TIME:
        raise ValidationError(BUSY)


def check_rate(company_id: int) -> None:
    """Count one export or download of a list. Raises TooOften beyond what a company may do in a minute or an hour."""
    rate_limits.check(
        "exports",
        company_id=company_id,
        at_most=settings.EXPORTS_PER_MINUTE,
        an_hour=settings.EXPORTS_PER_HOUR,
    )


def cancel(*, data_export: DataExport) -> bool:
    """Stop the export after the current chunk; nothing of it is kept. Returns False if it has already ended."""
    return DataExport.objects.filter(pk=data_export.pk).end(JobState.CANCELLED)


def discard(*, data_export: DataExport) -> None:
    """Delete the export with its file."""
    with transaction.atomic():
        own = DataExport.objects.filter(pk=data_export.pk)
        # Before its parts, as in an erasure and in the worker.
        list(own.select_for_update())
        own.delete()


def drop_files(company_id: int) -> None:
    """Delete the company's export files, which may contain a person who is being erased, and restart running exports.

    The caller's transaction must hold the lock on the company's row: no chunk is written meanwhile.
    """
    exports = DataExport.objects.for_company(company_id)
    exports.filter(state=JobState.DONE).update(
        state=JobState.FAILED, problem=ERASED_SINCE
    )
    exports.at_work().update(
        state=JobState.WAITING,
        reached=0,
        file=0,
        after=0,
        size=0,
        stored=0,
        packed_until=None,
        timeouts=0,
        restarts=F("restarts") + 1,
    )
    with statements_may_take(LONG_SECONDS):
        ExportPart.objects.filter(data_export__in=exports.values("pk")).delete()


def write_if_short(*, data_export: DataExport) -> DataExport:
    """Write a short file at once, while the member waits; a worker writes longer ones."""
    if data_export.row_count <= CHUNKS_AT_ONCE * list_rows.CHUNK:
        while advance(data_export.pk):
            pass
    data_export.refresh_from_db()
    return data_export
