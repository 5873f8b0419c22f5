"""The cells of a file, as text of which nothing is a formula, or with their types where the format knows some."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.utils.timezone import localtime, make_naive

Row = Iterable[object]

# A spreadsheet reads a formula where a cell begins with =, +, - or @, full-width ones too, also after what Excel and
# others skip. A cell begins where its reader thinks so: `x;=1+1` is two cells on a computer whose language
# separates with semicolons, and quotes don't hold them together there.
_SKIPPED: Final = r"""[\s\0"'\\\u00a0\u3000]*"""
_MARK: Final = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_FORMULA: Final = re.compile(rf"(\A(?=[\t\r\n\0])|(?:\A|[,;\t|\r\n])(?={_SKIPPED}{_MARK}))")


def as_text(value: object) -> str:
    """The value as the text of a cell. An apostrophe stands before everything that might be read as a formula.

    A number calculates nothing and stays one. A phone number that begins with + gets an apostrophe too: without one, a
    spreadsheet makes a number of it and drops the + or digits. An import takes it off again.
    Source: OWASP, "CSV Injection".
    """
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        return str(value)
    return _FORMULA.sub(r"\1'", _plain(value))


def _plain(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return localtime(value).isoformat(timespec="seconds")
    return str(value)


class _Echo:
    """A file for csv's writer that returns each line."""

    def write(self, line: str) -> str:
        return line


def csv_line() -> Callable[[Row], str]:
    """A function that makes a line of CSV of a row."""
    writer: Any = csv.writer(_Echo())
    return lambda row: writer.writerow([as_text(cell) for cell in row])


def as_csv(rows: Iterable[Row]) -> bytes:
    """The rows as CSV in UTF-8."""
    return "".join(map(csv_line(), rows)).encode(errors="replace")


# Between the work on rows and the packing of a spreadsheet, which has numbers and dates, but formulas only where its
# writer asks for one: its texts stay as they are.


def as_json(rows: Iterable[Row]) -> bytes:
    """The rows with their types, a line of JSON for each."""
    return "".join(f"{json.dumps([*row], default=_tagged, ensure_ascii=False)}\n" for row in rows).encode(
        errors="replace"
    )


def from_json(content: bytes) -> Iterator[list[Any]]:
    """The rows that `as_json` wrote. Times are in the active time zone, without its name."""
    for line in content.splitlines():
        yield [_untagged(cell) for cell in json.loads(line)]


def _tagged(value: object) -> dict[str, str]:
    match value:
        case Decimal():
            return {"number": str(value)}
        case datetime():
            return {"time": value.isoformat()}
        case date():
            return {"day": value.isoformat()}
    return {"text": str(value)}


_TYPES: Final[dict[str, Callable[[str], Any]]] = {
    "number": float,
    "time": lambda text: make_naive(datetime.fromisoformat(text)),
    "day": date.fromisoformat,
    "text": str,
}


def _untagged(cell: Any) -> Any:
    if isinstance(cell, dict):
        [(kind, text)] = cell.items()
        return _TYPES[kind](text)
    return ("yes" if cell else "no") if isinstance(cell, bool) else cell
