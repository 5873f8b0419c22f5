"""The child process of `spreadsheets`: reads a spreadsheet from stdin and writes CSV to stdout. It imports no Django.

The last line of stderr names the sheet. Exit code 3 means that the input is no spreadsheet, 4 that it is empty, and
any other failure that it is too large.
"""

import csv
import errno
import io
import json
import re
import resource
import sys
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final

import python_calamine

MEMORY: Final = 768 * 2**20
CPU_SECONDS: Final = 20
OUTPUT: Final = 64 * 2**20
# The column names, as many leads as may be imported, and one more.
ROWS: Final = 100_002
HEADER_CELLS, CELLS = 20_000, 101
LONGEST_CELL: Final = 20_001  # characters
# What a file may unpack to, in bytes. A sheet of 64 MB is read in a second. Real files are packed to a tenth.
UNPACKED_ANYWAY: Final = 64 * 2**20
UNPACKED_TIMES: Final = 100  # as large as the file
UNPACKED: Final = 512 * 2**20
AMBIGUOUS: Final = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
NO_SPREADSHEET, EMPTY, TOO_LARGE = 3, 4, 5


def main() -> None:
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, OUTPUT),
    ):
        resource.setrlimit(what, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    content = sys.stdin.buffer.read()
    if _unpacks_to(content) > min(
        UNPACKED, max(UNPACKED_ANYWAY, UNPACKED_TIMES * len(content))
    ):
        sys.exit(TOO_LARGE)
    try:
        found = _write_first_sheet(content)
    except BaseException as error:  # a panic in the library is not an Exception
        is_too_large = (
            isinstance(error, MemoryError)
            or getattr(error, "errno", None) == errno.EFBIG
        )
        sys.exit(TOO_LARGE if is_too_large else NO_SPREADSHEET)
    if not found:
        sys.exit(EMPTY)
    json.dump(found, sys.stderr)


def _unpacks_to(content: bytes) -> int:
    """The size that the archive claims to unpack to, in bytes. The library rejects one that claims too little."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return sum(part.file_size for part in archive.infolist())
    except Exception:
        return 0  # the library decides


def _write_first_sheet(content: bytes) -> dict[str, Any]:
    """Write the first sheet that is not empty. Returns its name and the number of sheets, {} if all are empty."""
    workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    name, sheet = next(_sheets(workbook), ("", None))
    if sheet is None:
        return {}
    writer = csv.writer(
        io.TextIOWrapper(
            sys.stdout.buffer, "utf-8", "replace", newline="", write_through=True
        )
    )
    # From the first one on, even if it is empty: rows keep their numbers.
    rows = sheet.iter_rows()
    for row in chain(
        _cut(islice(rows, 1), HEADER_CELLS), _cut(islice(rows, ROWS), CELLS)
    ):
        writer.writerow(row)
    return {"name": name, "count": len(workbook.sheet_names)}


def _sheets(workbook: Any) -> Iterator[tuple[str, Any]]:
    """The sheets that are not empty, each with its name."""
    for name in workbook.sheet_names:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.start is not None:
            yield name, sheet


def _cut(rows: Iterator[Sequence[Any]], width: int) -> Iterator[list[str]]:
    for row in rows:
        cells = [_text(cell)[:LONGEST_CELL] for cell in row[:width]]
        while cells and not cells[-1]:
            cells.pop()
        yield cells


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return _number(cell)
    if isinstance(cell, datetime) and cell.time() == datetime.min.time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date | datetime) else str(cell)


def _number(cell: float) -> str:
    """The number as it is shown, with the 15 digits that spreadsheets have: 0.3, not 0.30000000000000004.

    1.234 is written as 1.2340: the cell is a number, and no one shall ask whether it means 1,234.
    """
    if cell.is_integer():
        return str(int(cell))
    text = f"{Decimal(f'{cell:.15g}'):f}"
    return f"{text}0" if AMBIGUOUS.fullmatch(text) else text


if __name__ == "__main__":
    main()
