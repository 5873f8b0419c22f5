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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import reduce
from itertools import chain, islice
from typing import Any, Final
from xml.parsers import expat

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
# With which Apple's Numbers begins a workbook of several tables.
NUMBERS_SUMMARY: Final = "Export Summary"
OnElement = Callable[[str, Mapping[str, str]], None]
BUILT_IN_PERCENT: Final = {"9": "0%", "10": "0.00%"}
IS_ID: Final = re.compile(r".+:id").fullmatch
QUOTED: Final = re.compile(r'"[^"]*"|\\.')
ZEROS: Final = re.compile("0{2,20}")
PLACE: Final = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")
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
    """Write the first sheet with anything in it. Returns its name and the number of sheets, {} if all are empty."""
    workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    name, sheet = next(_sheets(workbook), ("", None))
    if sheet is None:
        return {}
    writer = csv.writer(
        io.TextIOWrapper(
            sys.stdout.buffer, "utf-8", "replace", newline="", write_through=True
        )
    )
    formats = _formats_of_cells(content, name)
    # From the first one on, even if it is empty: rows keep their numbers.
    with_times = _with_midnights(sheet.iter_rows(), _timed_columns(sheet.iter_rows()))
    rows = _formatted(with_times, sheet.start[1], formats)
    for row in chain(
        _cut(islice(rows, 1), HEADER_CELLS), _cut(islice(rows, ROWS), CELLS)
    ):
        writer.writerow(row)
    return {"name": name, "count": len(workbook.sheet_names)}


def _sheets(workbook: Any) -> Iterator[tuple[str, Any]]:
    """The sheets that are not empty, each with its name: first those that people see and that have a list."""
    tables = [
        each
        for each in workbook.sheets_metadata
        if each.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]
    for each in sorted(tables, key=_has_no_list):
        sheet = workbook.get_sheet_by_name(each.name)
        if sheet.start is not None:
            yield each.name, sheet


def _has_no_list(sheet: Any) -> bool:
    is_seen = sheet.visible == python_calamine.SheetVisibleEnum.Visible
    return not is_seen or sheet.name == NUMBERS_SUMMARY


def _timed_columns(rows: Iterator[Sequence[Any]]) -> set[int]:
    """The columns with a time of the day in any cell."""
    return {
        index
        for row in islice(rows, ROWS)
        for index, cell in enumerate(row[:CELLS])
        if isinstance(cell, datetime)
    }


def _with_midnights(
    rows: Iterator[Sequence[Any]], timed: Collection[int]
) -> Iterator[Sequence[Any]]:
    """The rows with the time 0:00 in dates of these columns: the library leaves out what is exactly midnight."""
    for row in rows:
        cells = list(row)
        for index in timed:
            if index < len(cells) and type(cells[index]) is date:
                cells[index] = datetime.combine(cells[index], time.min)
        yield cells


def _formatted(
    rows: Iterator[Sequence[Any]], left: int, formats: Mapping[int, Mapping[int, str]]
) -> Iterator[Sequence[Any]]:
    """The rows, whose first column is the one with the number `left`, with numbers as people see them."""
    for number, row in enumerate(rows):
        if number in formats:
            cells = list(row)
            for column, code in formats[number].items():
                if 0 <= column - left < len(cells):
                    cells[column - left] = _as_seen(cells[column - left], code)
            row = cells
        yield row


def _as_seen(cell: Any, code: str) -> Any:
    if not isinstance(cell, float):
        return cell
    if code == "%":
        return f"{_number(cell * 100)}%"
    return f"{cell:.0f}".zfill(len(code)) if cell.is_integer() and cell >= 0 else cell


# The library has numbers without their formats. These two make another text of a number: 0.25 is seen as 25%, and 1234
# as 01234, a postcode or a phone number. Files with neither, nearly all, are not read again.


def _formats_of_cells(content: bytes, sheet: str) -> dict[int, dict[int, str]]:
    """By row and column: "%", or as many zeros as a number has digits. {} for other formats, and for ODS."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            styles = _styles(archive)
            path = _path(archive, sheet) if styles else ""
            return _styled_cells(archive, path, styles) if path else {}
    except (KeyError, ValueError, expat.ExpatError, zipfile.BadZipFile):
        return {}  # the library has read what it could


def _parse(archive: zipfile.ZipFile, path: str, begin: OnElement) -> None:
    """Call `begin` with the name and the attributes of each element. Raises KeyError, ValueError and ExpatError."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, found: begin(
        name.rpartition(":")[2], found
    )
    parser.EntityDeclHandler = _refuse  # one could unpack to gigabytes
    with archive.open(path) as file:
        parser.ParseFile(file)


def _refuse(*_: Any) -> None:
    raise ValueError


def _styles(archive: zipfile.ZipFile) -> dict[str, str]:
    """The formats by the number of the style."""
    codes = dict(BUILT_IN_PERCENT)
    styles: list[str] = []
    within = ""

    def begin(name: str, found: Mapping[str, str]) -> None:
        nonlocal within
        if name == "numFmt":
            codes[found["numFmtId"]] = found["formatCode"].partition(";")[0]
        elif name == "xf" and within == "cellXfs":
            styles.append(codes.get(found.get("numFmtId", ""), ""))
        elif name in ("cellXfs", "cellStyles", "cellStyleXfs", "dxfs"):
            within = name

    _parse(archive, "xl/styles.xml", begin)
    seen = {str(number): _seen_format(code) for number, code in enumerate(styles)}
    return {style: code for style, code in seen.items() if code}


def _seen_format(code: str) -> str:
    if "%" in QUOTED.sub("", code):
        return "%"
    return code if ZEROS.fullmatch(code) else ""


def _path(archive: zipfile.ZipFile, sheet: str) -> str:
    """Where the archive has this sheet."""
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def begin(name: str, found: Mapping[str, str]) -> None:
        if name == "sheet":
            ids[found["name"]] = found[next(filter(IS_ID, found), "")]
        elif name == "Relationship":
            targets[found["Id"]] = found["Target"]

    _parse(archive, "xl/workbook.xml", begin)
    _parse(archive, "xl/_rels/workbook.xml.rels", begin)
    target = targets[ids[sheet]]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _styled_cells(
    archive: zipfile.ZipFile, path: str, styles: Mapping[str, str]
) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = {}

    def begin(name: str, cell: Mapping[str, str]) -> None:
        code = styles.get(cell.get("s", "")) if name == "c" else None
        place = PLACE.fullmatch(cell.get("r", "")) if code else None
        if code and place:
            column = reduce(_next_letter, place[1], 0) - 1
            found.setdefault(int(place[2]) - 1, {})[column] = code

    _parse(archive, path, begin)
    return found


def _next_letter(number: int, letter: str) -> int:
    return 26 * number + ord(letter) - 64


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
