"""The child of `spreadsheets`: reads a spreadsheet from its input and writes CSV to its output. It imports no Django.

Its error output names the sheet. It exits with 3 if that is no spreadsheet, and with 4 if it is empty.
"""

import csv
import io
import json
import resource
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import chain, islice
from typing import Any, Final

import python_calamine

MEMORY: Final = 768 * 2**20
CPU_SECONDS: Final = 20
OUTPUT: Final = 64 * 2**20
ROWS: Final = 100_002  # the names, the leads, and one more than may be imported
HEADER_CELLS, CELLS = 20_000, 101
NO_SPREADSHEET, EMPTY = 3, 4


def main() -> None:
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, OUTPUT),
    ):
        resource.setrlimit(what, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        name, sheet = next(_sheets(workbook), ("", None))
    except MemoryError:
        raise
    except Exception:
        sys.exit(NO_SPREADSHEET)
    if sheet is None:
        sys.exit(EMPTY)
    writer = csv.writer(io.TextIOWrapper(sys.stdout.buffer, "utf-8", "replace", newline="", write_through=True))
    rows = sheet.iter_rows()  # from the first one on, even if it is empty: rows keep their numbers
    for row in chain(_cut(islice(rows, 1), HEADER_CELLS), _cut(islice(rows, ROWS), CELLS)):
        writer.writerow(row)
    json.dump({"name": name, "count": len(workbook.sheet_names)}, sys.stderr)


def _sheets(workbook: Any) -> Iterator[tuple[str, Any]]:
    """The sheets with anything in them."""
    for name in workbook.sheet_names:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.start is not None:
            yield name, sheet


def _cut(rows: Iterator[Sequence[Any]], width: int) -> Iterator[list[str]]:
    for row in rows:
        cells = [_text(cell) for cell in row[:width]]
        while cells and not cells[-1]:
            cells.pop()
        yield cells


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime) and cell.time() == datetime.min.time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date | datetime) else str(cell)


if __name__ == "__main__":
    main()
