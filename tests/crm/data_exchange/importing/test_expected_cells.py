"""Files as spreadsheets save them, compared cell by cell with what a person would expect."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import pytest
import xlsxwriter

from crm.data_exchange.importing.column_readings import (
    ColumnReading,
    readings_of,
    unanswered,
)
from crm.models import Lead, Membership
from crm.services import lead_imports
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.spreadsheet_files import ods
from tests.crm.data_exchange.importing.uploading import run, upload

pytestmark = pytest.mark.django_db

NAMES: Final = ("Núñez", "Lefèvre", "Müller", "Håkansson")
COMPANY: Final = "Café Zürich; Söhne, Ltd"
PLACES: Final = ["1200", "12500", "1234.5", "-7.25"]
BUDGET: Final = ["1200.00", "12500.00", "1234.50", "7.25"]
SINCE: Final = ["2026-04-03", "2026-12-31", "2026-11-27", "2025-02-01"]

NUMBERS: Final = {
    "plain": (
        ["1200", "12500", "1234.5", "-7.25"],
        ["1200", "12500.00", "1234.50", "7.25"],
    ),
    "english": (
        ["1,200", "12,500", "1,234.5", "-7.25"],
        ["\u00a31,200.00", "\u00a312,500", "\u00a31,234.50", "\u00a37.25"],
    ),
    "german": (
        ["1.200", "12.500", "1.234,5", "-7,25"],
        ["1.200,00 \u20ac", "12.500 \u20ac", "1.234,50 \u20ac", "7,25 \u20ac"],
    ),
    "french": (
        ["1\u202f200", "12\u202f500", "1\u202f234,5", "-7,25"],
        ["1\u00a0200,00", "12\u00a0500", "1\u00a0234,50", "7,25"],
    ),
    "swiss": (
        ["1\u2019200", "12\u2019500", "1\u2019234.5", "-7.25"],
        ["CHF 1'200.00", "CHF 12'500.-", "1'234.50", "7.25"],
    ),
    "dutch": (
        ["1.200", "12.500", "1.234,5", "-7,25"],
        ["\u20ac 1.200,-", "\u20ac 12.500,-", "\u20ac 1.234,50", "\u20ac 7,25"],
    ),
}
DATES: Final = {
    "iso": ["2026-04-03", "2026-12-31", "2026-11-27", "2025-02-01"],
    "points": ["03.04.26", "31.12.26", "27.11.26", "01.02.25"],
    "slashes": ["03/04/2026", "31/12/2026", "27/11/2026", "01/02/2025"],
    "american": ["4/3/2026", "12/31/2026", "11/27/2026", "2/1/2025"],
    "hyphens": ["03-04-2026", "31-12-2026", "27-11-2026", "01-02-2025"],
    "named": ["3 Apr 2026", "31 Dec 2026", "27. November 2026", "Feb 1, 2025"],
    "times": [
        "2026-04-03 18:00",
        "2026-12-31T09:00:00Z",
        "2026-11-27 00:00:00",
        "2025-02-01T23:59:59+01:00",
    ],
}


@dataclass(frozen=True, slots=True)
class Saved:
    """How a program saves a list: an encoding and a delimiter, and how numbers and dates are written."""

    name: str
    encoding: str
    delimiter: str
    numbers: str
    dates: str
    first_line: str = ""
    line_end: str = "\r\n"
    quotes_all: bool = False

    @property
    def content(self) -> bytes:
        file = io.StringIO()
        quoting = csv.QUOTE_ALL if self.quotes_all else csv.QUOTE_MINIMAL
        writer = csv.writer(
            file,
            delimiter=self.delimiter,
            lineterminator=self.line_end,
            quoting=quoting,
        )
        places, budget = NUMBERS[self.numbers]
        writer.writerow(["First name", "Company", "Places", "Budget", "Since"])
        writer.writerows(
            zip(
                NAMES,
                [COMPANY] * len(NAMES),
                places,
                budget,
                DATES[self.dates],
                strict=True,
            )
        )
        return (self.first_line + file.getvalue()).encode(self.encoding, "replace")


FILES: Final = [
    Saved("Excel, German, Windows-1252", "cp1252", ";", "german", "points"),
    Saved("Excel, German, UTF-8", "utf-8-sig", ";", "german", "points"),
    Saved("Excel, German, named dates", "cp1252", ";", "german", "named"),
    Saved(
        "Excel, German, with sep",
        "cp1252",
        ";",
        "german",
        "points",
        first_line="sep=;\r\n",
    ),
    Saved("Excel, English, Windows-1252", "cp1252", ",", "english", "slashes"),
    Saved("Excel, English, UTF-8", "utf-8-sig", ",", "english", "slashes"),
    Saved(
        "Excel, English, with sep",
        "utf-8-sig",
        ",",
        "english",
        "iso",
        first_line="sep=,\r\n",
    ),
    Saved("Excel, American", "utf-8-sig", ",", "english", "american"),
    Saved("Excel, American, Windows-1252", "cp1252", ",", "english", "american"),
    Saved("Excel, French", "utf-8-sig", ";", "french", "slashes"),
    Saved("Excel, Swiss", "cp1252", ";", "swiss", "points"),
    Saved("Excel, Dutch", "cp1252", ";", "dutch", "hyphens"),
    Saved("Excel, Unicode text", "utf-16", "\t", "german", "points"),
    Saved("Excel, Unicode text, Swiss", "utf-16", "\t", "swiss", "points"),
    Saved("Excel, Unicode text, English", "utf-16", "\t", "english", "slashes"),
    Saved("UTF-16 without a mark", "utf-16-le", "\t", "german", "points"),
    Saved("UTF-16, big-endian, without a mark", "utf-16-be", ";", "french", "iso"),
    Saved("LibreOffice, German", "utf-8", ",", "german", "points", line_end="\n"),
    Saved(
        "LibreOffice, quoted",
        "utf-8",
        ";",
        "german",
        "iso",
        line_end="\n",
        quotes_all=True,
    ),
    Saved(
        "LibreOffice, ISO-8859-15", "iso8859_15", ";", "plain", "points", line_end="\n"
    ),
    Saved(
        "Google Sheets, English", "utf-8", ",", "english", "american", line_end="\r\n"
    ),
    Saved("Google Sheets, German", "utf-8", ",", "german", "points", line_end="\r\n"),
    Saved("Google Sheets, French", "utf-8", ",", "french", "slashes", line_end="\r\n"),
    Saved("Google Sheets, tabs", "utf-8", "\t", "english", "iso", line_end="\r\n"),
    Saved("Numbers, English", "utf-8", ",", "english", "named", line_end="\n"),
    Saved("Numbers, German", "utf-8", ";", "german", "named", line_end="\n"),
    Saved("a program, times", "utf-8", ",", "plain", "times", line_end="\n"),
    Saved("a program, vertical bars", "utf-8", "|", "plain", "iso", line_end="\n"),
    Saved("an old Mac's line ends", "utf-8", ";", "plain", "iso", line_end="\r"),
    Saved(
        "a program, American times",
        "utf-8",
        ",",
        "plain",
        "american",
        line_end="\n",
        quotes_all=True,
    ),
]


@pytest.fixture(autouse=True)
def _fields(sales: Membership) -> None:
    for name, kind in (("Places", "number"), ("Budget", "money"), ("Since", "date")):
        make_field(sales.company, name, kind)


def stored() -> list[tuple[Any, ...]]:
    return [
        (
            lead.first_name,
            lead.organisation,
            *(lead.custom.get(key) for key in ("places", "budget", "since")),
        )
        for lead in Lead.objects.order_by("pk")
    ]


EXPECTED: Final = list(
    zip(NAMES, [COMPANY] * len(NAMES), PLACES, BUDGET, SINCE, strict=True)
)


@pytest.mark.parametrize("saved", FILES, ids=lambda saved: saved.name)
def test_each_cell_is_stored_as_a_person_would_read_it(
    sales: Membership, saved: Saved
) -> None:
    checked = upload(sales, saved.content)

    assert unanswered(checked) == []
    assert not [key for key in checked.planned if key.startswith("cell:")]
    run(checked, sales)
    assert stored() == EXPECTED


def excel() -> bytes:
    """A workbook with numbers and dates as such."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet, as_date = (
            book.add_worksheet(),
            book.add_format({"num_format": "dd.mm.yyyy"}),
        )
        sheet.write_row(0, 0, ["First name", "Company", "Places", "Budget", "Since"])
        for row, (name, place, budget, since) in enumerate(
            zip(NAMES, PLACES, BUDGET, SINCE, strict=True), start=1
        ):
            sheet.write_row(row, 0, [name, COMPANY, float(place), float(budget)])
            sheet.write_datetime(
                row, 4, datetime.fromisoformat(f"{since}T18:30"), as_date
            )
    return file.getvalue()


def open_document() -> bytes:
    """A spreadsheet whose cells are texts."""
    places, budget = NUMBERS["german"]
    rows = zip(
        NAMES, [COMPANY] * len(NAMES), places, budget, DATES["points"], strict=True
    )
    return ods(("First name", "Company", "Places", "Budget", "Since"), *rows)


@pytest.mark.parametrize("make", [excel, open_document])
def test_a_spreadsheet_needs_no_question(
    sales: Membership, make: Callable[[], bytes]
) -> None:
    checked = upload(sales, make())

    assert unanswered(checked) == []
    run(checked, sales)
    assert stored() == EXPECTED


def test_a_number_of_a_spreadsheet_is_never_taken_for_thousands(
    sales: Membership,
) -> None:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["First name", "Places"])
        for row, number in enumerate([1.234, 0.1 + 0.2, 12.5], start=1):
            sheet.write_row(row, 0, [f"Lead {row}", number])
    checked = upload(sales, file.getvalue())

    assert unanswered(checked) == []
    run(checked, sales)

    assert [lead.custom["places"] for lead in Lead.objects.order_by("pk")] == [
        "1.234",
        "0.3",
        "12.5",
    ]


def test_what_has_no_single_reading_is_asked_and_stored_as_answered(
    sales: Membership,
) -> None:
    checked = upload(
        sales, "First name;Places;Since\nAda;1.200;3/4/2026\nIda;3.500;5/6/2026\n"
    )
    assert unanswered(checked) == ["Places", "Since"]
    readings = [
        ColumnReading(),
        ColumnReading(convention="comma", is_chosen=True),
        ColumnReading(convention="month", is_chosen=True),
    ]

    checked = lead_imports.map_columns(
        lead_import=checked, columns=checked.columns, readings=readings
    )
    run(checked, sales)

    assert [(lead.custom["places"], lead.custom["since"]) for lead in Lead.objects.order_by("pk")] == [
        ("1200", date(2026, 3, 4).isoformat()), ("3500", date(2026, 5, 6).isoformat()),
    ]  # fmt: skip
    assert [reading.is_unclear for reading in readings_of(checked)] == [
        False,
        True,
        True,
    ]
