"""Packs the rows of an export into a spreadsheet, in one go: an XLSX file is an archive that can't be continued.

The worker takes a lease. If it dies, another starts again from the stored parts.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import disk_usage, rmtree
from tempfile import TemporaryDirectory, TemporaryFile, gettempdir
from typing import IO, Any, Final

import xlsxwriter
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from xlsxwriter.exceptions import FileSizeError

from crm.data_exchange.exporting.cells import from_json
from crm.data_exchange.formulas import kept_by_import
from crm.models import DataExport, ExportPart
from crm.models.job import JobState

logger = logging.getLogger(__name__)

# Renewed with each part; the archive itself is made after the last.
LEASE: Final = timedelta(minutes=2)
BLOCK: Final = 1024 * 1024
BYTES_OF_A_CELL: Final = 64  # of XML, besides its text
NO_ROOM: Final = "This spreadsheet is larger than the server has room for. Choose CSV, or fewer rows or columns."
FOLDER: Final = "leadmachine-export-"  # in the temporary folder
LEFT_AFTER_SECONDS: Final = 3600.0  # far longer than any spreadsheet takes
FIRST_YEAR: Final = (
    1900  # Excel shows #### for earlier dates, which are written as texts
)
MAX_ROWS: Final = 1_048_575  # of a sheet, below the column names
# Rows are written to a file as they come. No text becomes a formula, a link or a number.
OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd",
}


def pack(pk: int) -> bool:
    """Make the spreadsheet of an export whose rows are complete.

    Returns False if there is none, if another process is making it, or if the server has no room for it.
    """
    unclaimed = Q(packed_until=None) | Q(packed_until__lt=Now())
    packing = DataExport.objects.filter(pk=pk).packing()
    if not packing.filter(unclaimed).update(packed_until=Now() + LEASE):
        return False
    data_export = packing.select_related("company").first()
    if data_export is None:  # ended or restarted just now
        return False
    _clear_up()
    if _room_needed(data_export) > disk_usage(gettempdir()).free:
        logger.warning(
            "There is no space in %s for the spreadsheet of export %s.",
            gettempdir(),
            pk,
        )
        packing.end(JobState.FAILED, NO_ROOM)
        return False
    with (
        TemporaryDirectory(prefix=FOLDER) as folder,
        TemporaryFile(dir=folder) as file,
        timezone.override(data_export.company.time_zone),
    ):
        try:
            _write_workbook(data_export, file, folder)
        except FileSizeError:
            packing.end(JobState.FAILED, NO_ROOM)
            return False
        _store(data_export, file)
    return True


def _clear_up() -> None:
    """Delete the files of workers that were killed: the rows in them are personal data."""
    for folder in Path(gettempdir()).glob(f"{FOLDER}*"):
        with suppress(OSError):  # another worker deletes it
            if time.time() - folder.stat().st_mtime > LEFT_AFTER_SECONDS:
                rmtree(folder)


def _room_needed(data_export: DataExport) -> int:
    """About how many bytes XlsxWriter needs on disk: it writes the sheet twice before it compresses it."""
    cells = (data_export.row_count + 1) * len(data_export.columns)
    return 3 * (BYTES_OF_A_CELL * cells + data_export.size)


def _write_workbook(data_export: DataExport, file: IO[bytes], folder: str) -> None:
    with xlsxwriter.Workbook(file, {**OPTIONS, "tmpdir": folder}) as workbook:
        sheet = workbook.add_worksheet(data_export.what)
        sheet.freeze_panes(1, 0)
        bold, moment = (
            workbook.add_format({"bold": True}),
            workbook.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
        )
        for number, row in enumerate(_rows(data_export)):
            for column, cell in enumerate(row):
                _write_cell(
                    sheet, number, column, cell, bold if number == 0 else None, moment
                )


def _write_cell(
    sheet: Any, row: int, column: int, cell: Any, style: Any, moment: Any
) -> None:
    match cell:
        case None | "":
            return
        case str():
            sheet.write_string(row, column, kept_by_import(cell), style)
        case datetime():
            sheet.write_datetime(row, column, cell, moment)
        case date() if cell.year < FIRST_YEAR:
            sheet.write_string(row, column, cell.isoformat(), style)
        case _:
            sheet.write(row, column, cell)


def _rows(data_export: DataExport) -> Iterator[list[Any]]:
    parts = ExportPart.objects.filter(data_export=data_export).order_by("pk")
    for pk in list(parts.values_list("pk", flat=True)):
        DataExport.objects.filter(pk=data_export.pk).update(packed_until=Now() + LEASE)
        for part in parts.filter(pk=pk):
            yield from from_json(part.read())


def _store(data_export: DataExport, file: IO[bytes]) -> None:
    """Replace the stored rows with the spreadsheet, unless the export was ended or restarted meanwhile."""
    with transaction.atomic():
        same = DataExport.objects.filter(
            pk=data_export.pk, restarts=data_export.restarts
        ).packing()
        if not same.select_for_update(no_key=True).exists():
            return
        ExportPart.objects.filter(data_export=data_export).delete()
        size, stored = file.seek(0, 2), 0
        file.seek(0)
        while block := file.read(BLOCK):
            stored += ExportPart(
                company_id=data_export.company_id, data_export=data_export
            ).write(block)
        same.update(state=JobState.DONE, size=size, stored=stored, finished_at=Now())
