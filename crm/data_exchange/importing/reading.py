"""Reads an uploaded file as rows of text: a text file in its `TextFormat`, or the first sheet of a spreadsheet.

Nothing in the file is trusted. It is read as a stream, within limits, and any problem is reported in one sentence.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, islice
from typing import Final

from crm.data_exchange.formulas import unguarded
from crm.data_exchange.importing.columns import is_usual_name, looks_like_value
from crm.data_exchange.importing.spreadsheets import (
    UnreadableFile,
    as_csv,
    is_spreadsheet,
)
from crm.data_exchange.importing.text_formats import (
    SEPARATOR_LINE,
    TITLES_AT_MOST,
    TextFormat,
    guess_format,
)
from crm.models.bidi import without_bidi_controls

MAX_BYTES: Final = 20 * 1024 * 1024
MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 100
COUNTED_COLUMNS: Final = 20_000
# Characters: one more than the longest text that a lead may have.
LONGEST_CELL: Final = 20_001
UNCLOSED_SHOWN: Final = 4  # rows
TITLE_SHOWN: Final = 40  # characters
EMPTY: Final = "This file is empty. Choose one that has rows."
OTHER_KINDS: Final = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls). Open it and save it as XLSX or CSV",
    b"%PDF": "a PDF. Ask for the list as CSV or XLSX",
    b"\x89PNG": "a picture. Choose a CSV, XLSX or ODS file",
    b"\xff\xd8\xff": "a picture. Choose a CSV, XLSX or ODS file",
    b"\x1f\x8b": "a compressed file. Unpack it first",
}
# Salesforce and others give a web page a name that ends in .xls.
WEB_PAGE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|meta|table|\?xml)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of the file. `number` counts from 1 and includes empty rows.

    `is_unclosed`: a quotation mark in it isn't closed.
    """

    number: int
    cells: Sequence[str]
    is_unclosed: bool = False


@dataclass(slots=True)
class Table:
    """A file's column names and the rows below them, read again each time.

    `above` counts the rows that are no leads: titles and the column names. `notes` say in sentences what was guessed
    about the file. `format` is None for a spreadsheet.
    """

    header: Sequence[str]
    content: bytes
    reading: TextFormat
    above: int
    format: TextFormat | None
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Iterator[FileRow]:
        """Raises UnreadableFile on the way."""
        rows = islice(_rows(self.content, self.reading), self.above, None)
        for number, row in enumerate(rows, start=1):
            if number > MAX_ROWS:
                raise UnreadableFile(
                    f"This file has more than {MAX_ROWS:,} rows. Split it, and import the parts."
                )
            yield row


def read_table(content: bytes, chosen: TextFormat | None = None) -> Table:
    """The file as a table, in the chosen format or else in the one that is guessed. Raises UnreadableFile."""
    notes: list[str] = []
    found = None
    if is_spreadsheet(content):
        content, reading = as_csv(content, notes), TextFormat("utf-8")
    else:
        _refuse_others(content)
        found = reading = chosen or guess_format(content, notes)
    begin = [row.cells for row in islice(_rows(content, reading), TITLES_AT_MOST + 1)]
    if not begin:
        raise UnreadableFile(EMPTY)
    titles = _titles(begin)
    if titles:
        notes.append(f"Left out above the names of the columns: {_shown(titles)}.")
    first = begin[len(titles)]
    if len(first) > MAX_COLUMNS:
        columns = f"{len(first):,} columns, and at most {MAX_COLUMNS} can be imported"
        raise UnreadableFile(
            f"This file has {columns}. Delete those that you don't need."
        )
    if _is_header(first):
        above = len(titles) + 1
        return Table(_distinct(first), content, reading, above, found, notes)
    notes.append("The first row is a lead, so the columns have no names.")
    header = [f"Column {number}" for number in range(1, len(first) + 1)]
    return Table(header, content, reading, 0, found, notes)


def _titles(begin: Sequence[Sequence[str]]) -> list[str]:
    """The texts of the rows above the column names, each of which has a single cell, such as the name of a table."""
    for index, cells in enumerate(begin):
        if len(list(filter(None, cells))) > 1:
            is_header = any(map(is_usual_name, cells))
            return ["".join(row) for row in begin[:index]] if is_header else []
    return []


def _shown(titles: Sequence[str]) -> str:
    return ", ".join(
        f"“{without_bidi_controls(title)[:TITLE_SHOWN]}”" for title in titles
    )


def _refuse_others(content: bytes) -> None:
    """Raise UnreadableFile for an empty file, and for other types of files."""
    if not content.strip():
        raise UnreadableFile(EMPTY)
    for magic, kind in OTHER_KINDS.items():
        if content.startswith(magic):
            raise UnreadableFile(f"This is {kind}.")
    if WEB_PAGE.match(content):
        raise UnreadableFile(
            "This is a web page or XML. Open it in a spreadsheet program, and save it as XLSX or CSV."
        )


def _rows(content: bytes, reading: TextFormat) -> Iterator[FileRow]:
    """The rows that are not empty, without the guards of an export, and NUL characters, which databases reject."""
    for number, row in enumerate(reading.rows(reading.text(content)), start=1):
        if number == 1 and SEPARATOR_LINE.fullmatch(reading.delimiter.join(row.cells)):
            continue
        clean = [
            unguarded(cell.replace("\0", "").strip())[:LONGEST_CELL]
            for cell in row.cells[:COUNTED_COLUMNS]
        ]
        while clean and not clean[-1]:
            clean.pop()
        if clean:
            yield FileRow(number, clean, row.is_unclosed)


def unclosed_note(numbers: Sequence[int]) -> str:
    """What to check if the quotation marks in these rows aren't closed."""
    shown = ", ".join(f"{number:,}" for number in numbers[:UNCLOSED_SHOWN])
    if len(numbers) == 1:
        return f"A quotation mark in row {shown} isn't closed. Check this row and those after it."
    more = (
        f" and {len(numbers) - UNCLOSED_SHOWN:,} others"
        if len(numbers) > UNCLOSED_SHOWN
        else ""
    )
    return f"Quotation marks in rows {shown}{more} aren't closed. Check these rows and those after them."


def _is_header(cells: Sequence[str]) -> bool:
    """True unless the first row looks like a lead: it has an address or a number, and no name of a field."""
    if any(is_usual_name(cell) for cell in cells):
        return True
    return not any(looks_like_value(cell) for cell in cells)


def _distinct(cells: Sequence[str]) -> list[str]:
    """The column names, made unique and not empty."""
    names: dict[str, None] = {}
    for index, cell in enumerate(cells, start=1):
        name = " ".join(cell.split())[:80] or f"Column {index}"
        numbered = (f"{name} ({number})" for number in count(2))
        names[next(each for each in chain([name], numbered) if each not in names)] = (
            None
        )
    return list(names)
