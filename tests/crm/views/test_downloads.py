"""S21: whatever reads an export, no cell of it is a formula."""

import csv
import io
import random
from collections.abc import Callable, Iterable

import pytest

from crm.data_exchange.exporting.cells import as_text
from crm.views.downloads import _lines
from tests.size import sized

pytestmark = pytest.mark.covers("S21")

FORMULA = "=1+1"
SEPARATORS = (",", ";", "\t", "|")
CELLS = [
    "=1+1", "-1", "+1", "@SUM(1)", "\uff1d1+1", "\u3000=1+1", "\t=1+1", "x;=1+1", "x|=1+1", "x\t=1+1", "x,=1+1",
    "x; =1+1", 'x;"=1+1"', "x;'=1+1", "x\n=1+1", "x\r\n=1+1", 'x"\n"=1+1', 'x";=1+1', 'x"";"=1+1', "x\\;=1+1",
    'x\\";=1+1', ";;=1+1", "x;\u00a0=1+1", "x;\0=1+1", "x;-1", "x;@SUM(1)", "x;\uff1d1+1", '";=1+1;"', "=1+1;=1+1",
]  # fmt: skip

# Three ways to read a line: as spreadsheets do, as programs that know quotes with a backslash, and without any quotes.
Reader = Callable[[str, str], Iterable[list[str]]]
READERS: dict[str, Reader] = {
    "quotes doubled": lambda text, by: csv.reader(
        io.StringIO(text, newline=""), delimiter=by
    ),
    "backslashes": lambda text, by: csv.reader(
        io.StringIO(text, newline=""), delimiter=by, doublequote=False, escapechar="\\"
    ),
    "no quotes": lambda text, by: [line.split(by) for line in text.splitlines()],
}


def exported(cells: list[str]) -> str:
    return "".join(_lines(["name", "note"], [["Ada", cells[0]], [*cells, "Bea"]]))


def formulas(text: str, by: str, read: Reader) -> list[str]:
    """The cells that a spreadsheet would calculate."""
    cells = [
        cell.lstrip('\t\r\n\0 "\u00a0\u3000')
        for line in read(text, by)
        for cell in line
    ]
    return [
        cell
        for cell in cells
        if cell.startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    ]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_reader_finds_a_formula(read: Reader) -> None:
    found = [
        (cell, by)
        for cell in CELLS
        for by in SEPARATORS
        if formulas(exported([cell, cell]), by, read)
    ]

    assert found == []


@pytest.mark.sized
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_reader_finds_a_formula_in_cells_made_at_random(read: Reader) -> None:
    for _ in range(sized(5_000, small=1_000)):
        cells = [
            "".join(
                random.choices("=+-@;,|\t\r\n\0\"'\\ x1\u3000", k=random.randint(1, 9))
            )
            for _ in range(3)
        ]
        for by in SEPARATORS:
            assert formulas(exported(cells), by, read) == [], (cells, by)


def test_these_readers_would_find_one() -> None:
    """Otherwise the tests above would show nothing."""
    for by in SEPARATORS:
        assert all(
            formulas(f'"Ada"{by}{FORMULA}\n', by, read) == [FORMULA]
            for read in READERS.values()
        )


def test_other_text_stays_as_it_is() -> None:
    for text in (
        "Ada",
        "a=b",
        "3 - 1",
        "Smith, Ada; buyer | Ghent",
        "1+1",
        "ada@example.com",
        "x;y-z",
        "",
    ):
        assert as_text(text) == text
