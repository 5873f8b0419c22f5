"""Reads an uploaded file as rows of text: encoding, delimiter and header are guessed from its beginning.

Nothing in the file is trusted. It is read as a stream, within limits, and any problem is reported in one sentence.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, islice
from typing import Final

import charset_normalizer

from crm.data_exchange.importing.columns import FIELDS, field_named, looks_like_value
from crm.data_exchange.importing.spreadsheets import UnreadableFile, as_csv, is_spreadsheet

MAX_BYTES: Final = 20 * 1024 * 1024
MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 100
COUNTED_COLUMNS: Final = 20_000
LONGEST_LINE: Final = 500_000  # characters
LONGEST_CELL: Final = 20_001  # characters: one more than the longest text that a lead may have

SAMPLE: Final = 64 * 1024  # bytes that the guesses are based on
SAMPLE_ROWS: Final = 50
DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# The encodings that spreadsheets commonly save besides UTF-8. Otherwise a short file might be taken for any of 90.
USUAL: Final = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "iso8859_15", "mac_roman", "shift_jis", "gb18030"]
OTHER_KINDS: Final = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls). Open it and save it as XLSX or CSV",
    b"%PDF": "a PDF. Ask for the list as CSV or XLSX",
    b"\x89PNG": "a picture. Choose a CSV, XLSX or ODS file",
    b"\xff\xd8\xff": "a picture. Choose a CSV, XLSX or ODS file",
    b"\x1f\x8b": "a compressed file. Unpack it first",
}


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of the file. `number` counts from 1 and includes empty rows."""

    number: int
    cells: Sequence[str]


@dataclass(slots=True)
class Table:
    """A file's column names, its other rows, and in `notes` what was guessed about it, in sentences."""

    header: Sequence[str]
    rows: Iterator[FileRow]
    notes: list[str] = field(default_factory=list)


def read_table(content: bytes) -> Table:
    """The file as a table. Raises UnreadableFile, here or while its rows are read."""
    notes: list[str] = []
    if is_spreadsheet(content):
        rows = _rows(_text(as_csv(content, notes), notes), ",")
    else:
        text = _text(content, notes)
        delimiter = _delimiter(text)
        notes.append(f"The columns are separated by {DELIMITERS[delimiter]}.")
        text.seek(0)
        rows = _rows(text, delimiter)
    first = next(rows, None)
    if first is None:
        raise UnreadableFile("This file is empty. Choose one that has a row for each lead.")
    if len(first.cells) > MAX_COLUMNS:
        columns = f"{len(first.cells):,} columns, and at most {MAX_COLUMNS} can be imported"
        raise UnreadableFile(f"This file has {columns}. Delete those that you don't need.")
    if _is_header(first.cells):
        return Table(_distinct(first.cells), _limited(rows), notes)
    notes.append("The first row is a lead, so the columns have no names.")
    header = [f"Column {number}" for number in range(1, len(first.cells) + 1)]
    return Table(header, _limited(_with_first(first, rows)), notes)


def _text(content: bytes, notes: list[str]) -> io.TextIOWrapper:
    if not content.strip():
        raise UnreadableFile("This file is empty. Choose one that has a row for each lead.")
    for magic, kind in OTHER_KINDS.items():
        if content.startswith(magic):
            raise UnreadableFile(f"This is {kind}.")
    encoding, errors = _encoding(content, notes)
    return io.TextIOWrapper(io.BytesIO(content), encoding, errors, newline="")


def _encoding(content: bytes, notes: list[str]) -> tuple[str, str]:
    """The encoding, and the error handler for bytes that it can't decode."""
    for mark, encoding in BOMS:
        if content.startswith(mark):
            return encoding, "replace"
    if b"\0" in content[:SAMPLE]:
        raise UnreadableFile("This is neither a CSV nor an XLSX or ODS file. Choose one of these.")
    if _is_utf8(content):
        return "utf-8", "strict"
    if any(_is_utf8(content[:-missing]) for missing in (1, 2, 3)):
        notes.append("The file ends in the middle of a character: its last row may be incomplete.")
        return "utf-8", "ignore"
    best = charset_normalizer.from_bytes(content[:SAMPLE], cp_isolation=USUAL).best()
    encoding = best.encoding if best else "cp1252"
    name = {"cp1252": "Windows-1252"}.get(encoding, encoding)
    notes.append(f"The file is not in UTF-8. It is read as {name}: check that accents look right.")
    return encoding, "replace"


def _is_utf8(content: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), SAMPLE):
            decoder.decode(content[start : start + SAMPLE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines. Raises UnreadableFile for one so long that its cells might not fit into memory."""
    while line := text.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise UnreadableFile("A row of this file is too long to be a lead. Choose a file with a row for each lead.")
        yield line


def _delimiter(text: io.TextIOWrapper) -> str:
    """The character that splits most of the first rows into the same number of cells, two or more.

    It has to split the first row too: a text in a later row may contain any of these characters many times.
    """
    lines = list(islice(_lines(text), SAMPLE_ROWS))
    return max(DELIMITERS, key=lambda delimiter: _regularity(lines, delimiter))


def _regularity(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    try:
        widths = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells]
    except csv.Error:
        return 0, 0
    if not widths or widths[0] < 2:
        return 0, 0
    width, rows = Counter(widths).most_common(1)[0]
    return (rows, width) if width > 1 else (0, 0)


def _rows(text: io.TextIOWrapper, delimiter: str) -> Iterator[FileRow]:
    """The rows that are not empty, without NUL characters, which databases reject."""
    try:
        for number, cells in enumerate(csv.reader(_lines(text), delimiter=delimiter), start=1):
            clean = [cell.replace("\0", "").strip()[:LONGEST_CELL] for cell in cells[:COUNTED_COLUMNS]]
            while clean and not clean[-1]:
                clean.pop()
            if clean:
                yield FileRow(number, clean)
    except csv.Error:
        raise UnreadableFile("This file can't be read as a table. Perhaps a quotation mark is missing.") from None


def _limited(rows: Iterator[FileRow]) -> Iterator[FileRow]:
    for number, row in enumerate(rows, start=1):
        if number > MAX_ROWS:
            raise UnreadableFile(f"This file has more than {MAX_ROWS:,} rows. Split it, and import the parts.")
        yield row


def _with_first(first: FileRow, rows: Iterator[FileRow]) -> Iterator[FileRow]:
    yield first
    yield from rows


def _is_header(cells: Sequence[str]) -> bool:
    """True unless the first row looks like a lead: it has an address or a number, and no name of a field."""
    if any(field_named(cell) in FIELDS for cell in cells):
        return True
    return not any(looks_like_value(cell) for cell in cells)


def _distinct(cells: Sequence[str]) -> list[str]:
    """The column names, made unique and not empty."""
    names: dict[str, None] = {}
    for index, cell in enumerate(cells, start=1):
        name = " ".join(cell.split())[:80] or f"Column {index}"
        numbered = (f"{name} ({number})" for number in count(2))
        names[next(each for each in chain([name], numbered) if each not in names)] = None
    return list(names)
