"""The cells of a file: as text without formulas, or with their types if the format has types."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.utils.timezone import localtime, make_naive

from crm.data_exchange.formulas import guarded
from crm.models.numbers import unambiguous

Row = Iterable[object]


def as_text(value: object) -> str:
    """The value as the text of a cell, which can't be read as a formula.

    Numbers are harmless, and written so that no one can read them in two ways.
    """
    if isinstance(value, Decimal):
        return unambiguous(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return guarded(_plain(value))


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
    """A function that turns a row into a line of CSV."""
    writer: Any = csv.writer(_Echo())
    return lambda row: writer.writerow([as_text(cell) for cell in row])


def as_csv(rows: Iterable[Row]) -> bytes:
    """The rows as CSV in UTF-8."""
    return "".join(map(csv_line(), rows)).encode(errors="replace")


# How rows are stored until they are packed into a spreadsheet, which has numbers and dates. It has formulas only where
# its writer asks for one: texts stay as they are.


def as_json(rows: Iterable[Row]) -> bytes:
    """The rows with their types, a line of JSON for each."""
    return "".join(
        f"{json.dumps([*row], default=_tagged, ensure_ascii=False)}\n" for row in rows
    ).encode(errors="replace")


def from_json(content: bytes) -> Iterator[list[Any]]:
    """The rows that `as_json` wrote. Times are naive, in the active time zone, and end at the second.

    A spreadsheet's reader may round the rest of a second up, where CSV leaves it out.
    """
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
    "time": lambda text: make_naive(datetime.fromisoformat(text)).replace(
        microsecond=0
    ),
    "day": date.fromisoformat,
    "text": str,
}


def _untagged(cell: Any) -> Any:
    if isinstance(cell, dict):
        [(kind, text)] = cell.items()
        return _TYPES[kind](text)
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell
