"""How a text file is read: its encoding, the character between its columns, and the one around its cells.

All three are guessed from the file, and people may choose others.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Final, Self

import charset_normalizer

from crm.data_exchange.importing.columns import is_usual_name
from crm.data_exchange.importing.spreadsheets import UnreadableFile

LONGEST_LINE: Final = 500_000  # characters
SAMPLE: Final = 64 * 1024  # bytes that guesses are based on
SAMPLE_ROWS: Final = 50
TITLES_AT_MOST: Final = 10  # rows above the column names
ENCODINGS: Final = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16, big-endian",
    "cp1252": "Windows-1252 (Western Europe)",
    "iso8859_15": "ISO-8859-15 (Western Europe)",
    "mac_roman": "Mac Roman (Western Europe)",
    "cp850": "DOS 850 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "iso8859_2": "ISO-8859-2 (Central Europe)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp932": "Shift JIS (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
}
DELIMITERS: Final = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
}
# Databases put a backslash before a quotation mark in a cell; spreadsheets double it.
ESCAPED: Final = '\\"'
QUOTES: Final = {
    '"': 'Double: "Ada"',
    ESCAPED: 'Double, escaped: "\\"Ada\\""',
    "'": "Single: 'Ada'",
    "": "None",
}
BOMS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Excel's own, above the column names.
SEPARATOR_LINE: Final = re.compile(r'"?sep=([^\w\s\x22\x27]|\t)"?\s*', re.IGNORECASE)
CONTROLS: Final = re.compile(rb"[\0-\x08\x0e-\x1f]")
# Of the bytes of a text in UTF-16 are zero, even if it is Cyrillic or Chinese.
MANY: Final = 0.05
# What shows that the encoding is none of Western Europe, or not Windows-1252, if a third of the letters are like that.
UNUSUAL: Final = {
    # No unaccented ones between them.
    rb"[\x80-\xff]{3,}": ["cp1251", "cp1253", "cp932", "gb18030"],
    # In Windows-1252: nothing, or Ÿ, or another capital or a sign where a word goes on.
    rb"[\x81\x8d\x8f\x90\x9d\x9f]|(?<=[a-z])[\x80\x82-\x84\x86-\x8c\x8e\x98\x9b]": [
        "mac_roman",
        "cp850",
    ],
}
_BACKSLASH: Final = re.compile(r'\\([\\"])')
_UNESCAPED: Final = {'"': '""', "\\": "\\"}
_ENDED: Final = (
    "The file ends in the middle of a character: its last row may be incomplete."
)


@dataclass(frozen=True, slots=True)
class TextRow:
    """The cells of a row. `is_unclosed`: a quotation mark in it isn't closed."""

    cells: Sequence[str]
    is_unclosed: bool = False


@dataclass(frozen=True, slots=True)
class TextFormat:
    """The name of an encoding, the character between two columns, and the one around cells, "" for none."""

    encoding: str
    delimiter: str = ","
    quote: str = '"'

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self | None:
        """The format that was stored by `as_json`; None for {}."""
        return cls(**stored) if stored else None

    @property
    def as_json(self) -> dict[str, str]:
        return asdict(self)

    @property
    def label(self) -> str:
        """As in "Windows-1252, semicolons"."""
        name = ENCODINGS.get(self.encoding, self.encoding).partition(" (")[0]
        return f"{name}, {DELIMITERS.get(self.delimiter, f'columns separated by {self.delimiter}')}"

    def text(self, content: bytes) -> io.TextIOWrapper:
        """The file as text, without a byte order mark."""
        mark = next((mark for mark in BOMS if content.startswith(mark)), b"")
        return io.TextIOWrapper(
            io.BytesIO(content[len(mark) :]), self.encoding, "replace", newline=""
        )

    def rows(self, text: io.TextIOWrapper) -> Iterator[TextRow]:
        """The rows. Raises UnreadableFile.

        A quotation mark that isn't closed would join the lines that follow: each of them is read as a row instead.
        """
        lines: list[str] = []
        try:
            for cells in self._reader(_kept(self._lines(text), lines)):
                if len(lines) == 1 or self.is_one_row(lines):
                    yield TextRow(cells)
                else:
                    for line in lines:
                        yield TextRow(
                            next(self._reader([line])),
                            is_unclosed=not self.is_one_row([line]),
                        )
                lines.clear()
        except csv.Error:
            problem = "This file can't be read as a table. Perhaps a quotation mark is missing."
            raise UnreadableFile(problem) from None

    def _lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        """The lines, in which a quotation mark in a cell is doubled. Raises UnreadableFile."""
        lines = _lines(text)
        return map(_doubled, lines) if self.quote == ESCAPED else lines

    def is_one_row(self, lines: Sequence[str]) -> bool:
        """False if a quotation mark in these lines isn't closed, or is closed in the middle of a cell."""
        try:
            return len(list(self._reader(lines, strict=True))) == 1
        except csv.Error:
            return False

    def _reader(
        self, lines: Iterable[str], *, strict: bool = False
    ) -> Iterator[list[str]]:
        if self.quote:
            return csv.reader(
                lines,
                delimiter=self.delimiter,
                quotechar=self.quote[-1],
                strict=strict,
            )
        return csv.reader(
            lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=strict
        )


def _kept(lines: Iterable[str], kept: list[str]) -> Iterator[str]:
    """The lines, each of which is added to `kept`, too."""
    for line in lines:
        kept.append(line)
        yield line


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines. Raises UnreadableFile for one so long that its cells might not fit into memory."""
    while line := text.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise UnreadableFile(
                "A row of this file is too long. Choose a file with a row for each lead, deal or task."
            )
        yield line


def _doubled(line: str) -> str:
    """The line with "" for an escaped quotation mark, and one backslash for an escaped one."""
    if "\\" not in line:
        return line
    return _BACKSLASH.sub(lambda found: _UNESCAPED[found[1]], line)


def guess_format(content: bytes, notes: list[str]) -> TextFormat:
    """The format that the file probably has. Adds to the notes what a person should check. Raises UnreadableFile."""
    found = TextFormat(_encoding(content, notes))
    lines = list(islice(_lines(found.text(content)), SAMPLE_ROWS))
    said = SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    delimiter = said[1] if said else _delimiter(lines)
    return _with_quote(replace(found, delimiter=delimiter), lines)


def _with_quote(found: TextFormat, lines: Sequence[str]) -> TextFormat:
    """The format, with escaped quotation marks if more lines are rows with them."""
    if _is_regular(lines, found.delimiter):
        return found
    escaped = replace(found, quote=ESCAPED)
    unusual = [line for line in lines if ESCAPED in line]
    as_they_are = sum(found.is_one_row([line]) for line in unusual)
    without = sum(escaped.is_one_row([_doubled(line)]) for line in unusual)
    return escaped if without > as_they_are else found


def _is_regular(lines: Sequence[str], delimiter: str) -> bool:
    """True if quotation marks are where the rules want them, and all rows, also of several lines, are as long."""
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        return len({len(cells) for cells in rows if cells}) == 1
    except csv.Error:
        return False


def _delimiter(lines: Sequence[str]) -> str:
    """The character that splits the rows best: all of them or, if there are titles, those from the column names on."""
    for above in range(TITLES_AT_MOST + 1):
        below = lines[above:]
        best = max(DELIMITERS, key=lambda each: _regularity(below, each))
        if any(_regularity(below, best)) and (not above or _has_names(below[0], best)):
            return best
    return next(iter(DELIMITERS))


def _has_names(line: str, delimiter: str) -> bool:
    cells = next(csv.reader([line], delimiter=delimiter))
    return any(map(is_usual_name, cells))


def _regularity(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """How well the character splits the rows into the same number of cells, two or more.

    It has to split the first row too: a text in a later row may contain any of these characters many times.
    """
    try:
        widths = [
            len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells
        ]
    except csv.Error:
        return 0, 0
    if not widths or widths[0] < 2:
        return 0, 0
    width, rows = Counter(widths).most_common(1)[0]
    return (rows, width) if width > 1 else (0, 0)


# A mark says the encoding, or the text keeps the rules of UTF-8 or UTF-16. Any bytes are a text in the other encodings,
# of which Windows-1252 is the one that spreadsheets in America and Western Europe save.


def _encoding(content: bytes, notes: list[str]) -> str:
    for mark, encoding in BOMS.items():
        if content.startswith(mark):
            return encoding
    if _may_be_utf16(content[:SAMPLE]):
        return _utf16(content[:SAMPLE])
    wrong, is_cut = _against_utf8(content)
    if wrong == 0:
        notes.extend([_ENDED] if is_cut else [])
        return "utf-8"
    sequences = sum(1 for _ in re.finditer(rb"[\xc3-\xf4][\x80-\xbf]+", content))
    if sequences > 10 * wrong:
        notes.append(
            f"The file is in UTF-8, but for {wrong:,} of its characters. They are shown as \ufffd."
        )
        return "utf-8"
    notes.append("The file is not in UTF-8: check that names look right.")
    return _single_byte(content[:SAMPLE])


def _may_be_utf16(sample: bytes) -> bool:
    """True if it has zeros, unless they are a few among other characters: those are left out."""
    return b"\0" in sample and len(CONTROLS.findall(sample)) > MANY * len(sample)


def _utf16(sample: bytes) -> str:
    """UTF-16 without a mark: every second byte of its ASCII characters is zero. Raises UnreadableFile if it is not."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = sample[: len(sample) // 2 * 2].decode(encoding, "replace")
    if min(even, odd) * 10 > max(even, odd) or "\0" in text or text.count("\ufffd") > 1:
        raise UnreadableFile(
            "This is neither a CSV nor an XLSX or ODS file. Choose one of these."
        )
    return encoding


def _against_utf8(content: bytes) -> tuple[int, bool]:
    """How many characters are not in UTF-8, and whether the file ends in the middle of one that is."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    # In parts: the text of a large file takes four times its size.
    starts = range(0, len(content), SAMPLE)
    replaced = sum(
        decoder.decode(content[start : start + SAMPLE]).count("\ufffd")
        for start in starts
    )
    pending, _ = decoder.getstate()
    return replaced - content.count("\ufffd".encode()), bool(pending)


def _single_byte(sample: bytes) -> str:
    """Windows-1252, unless a third of the letters make no words in it."""
    high = len(re.findall(rb"[\x80-\xff]", sample))
    for pattern, encodings in UNUSUAL.items():
        if 3 * sum(map(len, re.findall(pattern, sample))) > high:
            best = charset_normalizer.from_bytes(sample, cp_isolation=encodings).best()
            return best.encoding if best and best.encoding in encodings else "cp1252"
    return "cp1252"
