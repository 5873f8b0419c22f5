"""Files as programs save them, compared cell by cell with what a person would expect."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import pytest

from crm.data_exchange.importing.column_readings import (
    ColumnReading,
    readings_of,
    unanswered,
)
from crm.models import Lead, LeadImport, Membership
from crm.services import lead_imports
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.saved_files import (
    TextFile,
    Value,
    Workbook,
    open_document,
)
from tests.crm.data_exchange.importing.uploading import run, upload

pytestmark = pytest.mark.django_db

HEADER: Final = ("First name", "Company", "Phone", "Background", "Places", "Budget", "Since", "Member")  # fmt: skip
NAMES: Final = ("Núñez", "Lefèvre", "Müller", "Håkansson")
COMPANY: Final = 'Café "Zürich"; Söhne, Ltd'
PHONES: Final = ("0031 20 5550142", "+49 (0)30 901820", "06-12345678", "020 7946 0018")
NOTES: Final = (
    "called twice:\nno answer",
    "10 % off, if he asks",
    "",
    "C:\\leads\\2026",
)
PLACES: Final = ("1200", "12500", "1234.5", "-7.25")
BUDGET: Final = ("1200.00", "12500.00", "1234.50", "7.25")
SINCE: Final = ("2026-04-03", "2026-12-31", "2026-11-27", "2025-02-01")
MEMBER: Final = (True, False, True, False)

# As they are written: numbers, and amounts of money.
NUMBERS: Final = {
    "plain": (["1200", "12500", "1234.5", "-7.25"], ["1200", "12500.00", "1234.50", "7.25"]),
    "plain, comma": (["1200", "12500", "1234,5", "-7,25"], ["1200,00", "12500,00", "1234,50", "7,25"]),
    "english": (["1,200", "12,500", "1,234.5", "-7.25"], ["£1,200.00", "£12,500", "£1,234.50", "£7.25"]),
    "american": (["1,200", "12,500", "1,234.5", "(7.25)"], ["$1,200.00", "US$12,500", "1,234.50 USD", "$7.25"]),
    "german": (["1.200", "12.500", "1.234,5", "-7,25"], ["1.200,00 €", "12.500 €", "1.234,50 €", "7,25 €"]),
    "austrian": (["1.200", "12.500", "1.234,5", "7,25-"], ["EUR 1.200,--", "EUR 12.500,-", "€ 1.234,50", "7,25"]),
    "french": (
        ["1\u202f200", "12\u202f500", "1\u202f234,5", "-7,25"],
        ["1\u00a0200,00", "12\u00a0500", "1\u202f234,50 €", "7,25"],
    ),
    "polish": (["1 200", "12 500", "1 234,5", "\u22127,25"], ["1 200,00 zł", "12 500 zł", "1 234,50 PLN", "7,25"]),
    "swiss": (["1\u2019200", "12\u2019500", "1\u2019234.5", "-7.25"], ["CHF 1'200.00", "12'500.-", "1'234.50", "7.25"]),
    "dutch": (["1.200", "12.500", "1.234,5", "-7,25"], ["€ 1.200,-", "€ 12.500,-", "€ 1.234,50", "€ 7,25"]),
    "swedish": (
        ["1\u00a0200", "12\u00a0500", "1\u00a0234,5", "\u20137,25"],
        ["1\u00a0200 kr", "12\u00a0500:-", "1\u00a0234,50 kr", "7,25 SEK"],
    ),
    "scientific": (["1.2E+03", "1.25E+04", "1234.5", "-7.25"], ["1.2E+03", "12500", "1234.5", "7.25"]),
}  # fmt: skip
DATES: Final = {
    "iso": ["2026-04-03", "2026-12-31", "2026-11-27", "2025-02-01"],
    "iso, slashes": ["2026/04/03", "2026/12/31", "2026/11/27", "2025/02/01"],
    "compact": ["20260403", "20261231", "20261127", "20250201"],
    "points": ["03.04.26", "31.12.26", "27.11.26", "01.02.25"],
    "points, long": ["3.4.2026", "31.12.2026", "27.11.2026", "1.2.2025"],
    "slashes": ["03/04/2026", "31/12/2026", "27/11/2026", "01/02/2025"],
    "slashes, short": ["3/4/26", "31/12/26", "27/11/26", "1/2/25"],
    "american": ["4/3/2026", "12/31/2026", "11/27/2026", "2/1/2025"],
    "american, short": ["4/3/26", "12/31/26", "11/27/26", "2/1/25"],
    "american, times": ["4/3/2026 6:00 PM", "12/31/2026, 9:05:00\u202fAM", "11/27/2026 0:00", "2/1/2025 11:59 pm"],
    "hyphens": ["03-04-2026", "31-12-2026", "27-11-2026", "01-02-2025"],
    "spaces": ["03 04 2026", "31 12 2026", "27 11 2026", "01 02 2025"],
    "named": ["3 Apr 2026", "31 Dec 2026", "27. November 2026", "Feb 1, 2025"],
    "named, american": ["April 3, 2026", "Dec 31st, 2026", "Nov. 27, 2026", "February 1 2025"],
    "named, short": ["03-APR-26", "31-DEC-26", "27-Nov-26", "1-Feb-25"],
    "named, german": ["3. April 2026", "31. Dez. 2026", "27. Nov 2026", "1. Februar 2025"],
    "named, french": ["3 avril 2026", "31 déc. 2026", "27 novembre 2026", "1er février 2025"],
    "named, spanish": ["3 de abril de 2026", "31 dic 2026", "27 de noviembre de 2026", "1 feb 2025"],
    "times": ["2026-04-03 18:00", "2026-12-31T09:00:00Z", "2026-11-27 00:00:00", "2025-02-01T23:59:59+01:00"],
    "times, exact": ["2026-04-03T18:00:00.000Z", "2026-12-31T09:00:00+0000", "2026-11-27 0:00 UTC", "2025-02-01T9:59Z"],
}  # fmt: skip
YES_NO: Final = {
    "english": ("TRUE", "FALSE"),
    "german": ("WAHR", "FALSCH"),
    "french": ("VRAI", "FAUX"),
    "dutch": ("WAAR", "ONWAAR"),
    "digits": ("1", "0"),
}


@dataclass(frozen=True, slots=True)
class SavedText:
    """A text file of a program, and how the program writes numbers, dates and answers."""

    program: str
    numbers: str
    dates: str
    file: TextFile = field(default_factory=TextFile)
    yes_no: str = "english"

    def __str__(self) -> str:
        return f"{self.program}, {self.file.encoding}, {self.numbers}, {self.dates}"

    @property
    def content(self) -> bytes:
        places, budget = NUMBERS[self.numbers]
        yes, no = YES_NO[self.yes_no]
        member = [yes if each else no for each in MEMBER]
        company = [COMPANY] * len(NAMES)
        rows = zip(NAMES, company, PHONES, NOTES, places, budget, DATES[self.dates], member, strict=True)  # fmt: skip
        return self.file.content([HEADER, *rows])


ANSI: Final = TextFile("cp1252", ";")
ANSI_COMMA: Final = TextFile("cp1252", ",")
BOM: Final = TextFile("utf-8-sig", ",")
BOM_SEMICOLON: Final = TextFile("utf-8-sig", ";")
UNICODE_TEXT: Final = TextFile("utf-16", "\t")
UNIX: Final = TextFile("utf-8", ",", "\n")
UNIX_SEMICOLON: Final = TextFile("utf-8", ";", "\n")
TEXTS: Final = (
    SavedText("Excel, German", "german", "points", ANSI, "german"),
    SavedText("Excel, German, long dates", "german", "points, long", ANSI, "german"),
    SavedText("Excel, German", "german", "points", BOM_SEMICOLON, "german"),
    SavedText("Excel, German", "german", "named, german", ANSI, "german"),
    SavedText("Excel, German, sep", "german", "points", TextFile("cp1252", ";", above="sep=;\r\n"), "german"),
    SavedText("Excel, German, no thousands", "plain, comma", "points", ANSI, "german"),
    SavedText("Excel, Austrian", "austrian", "points", ANSI, "german"),
    SavedText("Excel, Swiss", "swiss", "points", ANSI, "german"),
    SavedText("Excel, Swiss", "swiss", "points, long", BOM_SEMICOLON, "german"),
    SavedText("Excel, English", "english", "slashes", ANSI_COMMA),
    SavedText("Excel, English", "english", "slashes", BOM),
    SavedText("Excel, English", "english", "slashes, short", ANSI_COMMA),
    SavedText("Excel, English", "english", "named, short", ANSI_COMMA),
    SavedText("Excel, English, sep", "english", "iso", TextFile("utf-8-sig", ",", above="sep=,\r\n")),
    SavedText("Excel, American", "american", "american", BOM),
    SavedText("Excel, American", "american", "american", ANSI_COMMA),
    SavedText("Excel, American", "american", "american, short", ANSI_COMMA),
    SavedText("Excel, American", "american", "named, american", BOM),
    SavedText("Excel, American, times", "plain", "american, times", BOM),
    SavedText("Excel, scientific", "scientific", "american", ANSI_COMMA),
    SavedText("Excel, French", "french", "slashes", BOM_SEMICOLON, "french"),
    SavedText("Excel, French, no thousands", "plain, comma", "slashes", ANSI, "french"),
    SavedText("Excel, French", "french", "named, french", BOM_SEMICOLON, "french"),
    SavedText("Excel, Dutch", "dutch", "hyphens", ANSI, "dutch"),
    SavedText("Excel, Polish", "polish", "points", BOM_SEMICOLON),
    SavedText("Excel, Swedish", "swedish", "iso", ANSI),
    SavedText("Excel, Spanish", "german", "named, spanish", ANSI),
    SavedText("Excel for the Mac, French", "plain, comma", "slashes", TextFile("mac_roman", ";", "\r"), "french"),
    SavedText("Excel for the Mac, German", "plain, comma", "points", TextFile("mac_roman", ";", "\r\n"), "german"),
    SavedText("Excel for DOS", "plain, comma", "points", TextFile("cp850", ";"), "german"),
    SavedText("Excel, Unicode text", "german", "points", UNICODE_TEXT, "german"),
    SavedText("Excel, Unicode text", "swiss", "points", UNICODE_TEXT, "german"),
    SavedText("Excel, Unicode text", "english", "slashes", UNICODE_TEXT),
    SavedText("Excel, Unicode text", "french", "slashes", UNICODE_TEXT, "french"),
    SavedText("Windows, UTF-16", "german", "points", TextFile("utf-16-le", "\t"), "german"),
    SavedText("Java, UTF-16", "french", "iso", TextFile("utf-16-be", ";"), "french"),
    SavedText("Java, UTF-16 with a mark", "english", "iso", TextFile("utf-16", ",", "\n")),
    SavedText("LibreOffice, German", "german", "points", UNIX, "german"),
    SavedText("LibreOffice, German", "german", "points", UNIX_SEMICOLON, "german"),
    SavedText("LibreOffice, all quoted", "german", "iso", TextFile("utf-8", ";", "\n", "all"), "german"),
    SavedText("LibreOffice, ISO-8859-15", "plain, comma", "points", TextFile("iso8859_15", ";", "\n"), "german"),
    SavedText("LibreOffice, ISO-8859-15", "german", "points", TextFile("iso8859_15", "\t", "\n"), "german"),
    SavedText("LibreOffice, French", "french", "slashes, short", UNIX, "french"),
    SavedText("LibreOffice, Swedish", "swedish", "iso", UNIX_SEMICOLON),
    SavedText("Google Sheets, American", "american", "american", TextFile()),
    SavedText("Google Sheets, American", "plain", "american, times", TextFile()),
    SavedText("Google Sheets, German", "german", "points, long", TextFile()),
    SavedText("Google Sheets, French", "french", "slashes", TextFile()),
    SavedText("Google Sheets, Swiss", "swiss", "points", TextFile()),
    SavedText("Google Sheets, TSV", "english", "iso", TextFile(delimiter="\t")),
    SavedText("Numbers, English", "english", "named", UNIX),
    SavedText("Numbers, American", "american", "american, short", UNIX),
    SavedText("Numbers, German", "german", "named, german", UNIX_SEMICOLON),
    SavedText("Numbers, with the table's name", "german", "points", TextFile("utf-8", ";", "\n", above="Tabelle 1\n")),
    SavedText("Numbers, with a title", "english", "named", TextFile("utf-8", ",", "\n", above='"Leads, 2026"\n\n')),
    SavedText("a database", "plain", "times", TextFile("utf-8", ",", "\n", "escaped"), "digits"),
    SavedText("a database, tabs", "plain", "iso", TextFile("utf-8", "\t", "\n", "escaped"), "digits"),
    SavedText("a database, Oracle", "plain", "named, short", TextFile("cp1252", ",", "\n", "all"), "digits"),
    SavedText("a CRM, exact times", "plain", "times, exact", TextFile(quotes="all"), "digits"),
    SavedText("a CRM, American", "plain", "american, times", TextFile(quotes="all"), "digits"),
    SavedText("a program, vertical bars", "plain", "iso", TextFile("utf-8", "|", "\n")),
    SavedText("a program, compact dates", "plain", "compact", UNIX),
    SavedText("a program, spaces in dates", "plain", "spaces", UNIX),
    SavedText("a program, slashes", "english", "iso, slashes", UNIX),
    SavedText("a program, separators at the ends", "german", "iso", TextFile("cp1252", ";", trailing=";;")),
    SavedText("an old Mac", "plain", "iso", TextFile("utf-8", ";", "\r")),
)  # fmt: skip
WORKBOOKS: Final = {
    "Excel": Workbook(),
    "Excel, German": Workbook(date_format="dd.mm.yyyy;@", number_format="#,##0.00 [$€-407]"),
    "Excel, German, long dates": Workbook(date_format="[$-407]d. mmmm yyyy"),
    "Excel, the system's long date": Workbook(date_format="[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy"),
    "Excel, negative numbers in red": Workbook(number_format='#,##0.00;[Red]-#,##0.00;"-"??'),
    "Excel, times": Workbook(date_format="yyyy-mm-dd hh:mm"),
    "Excel for the Mac, from 1904": Workbook(dates="1904"),
    "Excel, strict": Workbook(dates="ISO"),
    "Excel, rich texts": Workbook(texts="rich"),
    "Excel, formulas": Workbook(texts="formula"),
    "Excel, dates as texts": Workbook(dates="text"),
    "Excel, a hidden sheet first": Workbook(before=(".Lists",)),
    "Excel, in the middle of the sheet": Workbook(left=2, above=3),
    "Excel, below a title": Workbook(title="Leads of the trade fair", above=1),
    "LibreOffice": Workbook(date_format="DD.MM.YY", number_format="#,##0.00"),
    "Google Sheets": Workbook(texts="inline", date_format="yyyy-mm-dd"),
    "Google Sheets, American": Workbook(texts="inline", date_format="m/d/yyyy h:mm:ss"),
    "Numbers": Workbook(title="Table 1", date_format="m/d/yy"),
    "Numbers, several tables": Workbook(title="Table 1", before=("Export Summary",)),
}  # fmt: skip


def typed_rows() -> list[Sequence[Value]]:
    """The rows of a spreadsheet, in which numbers, dates and answers are no texts."""
    days = map(date.fromisoformat, SINCE)
    company = [COMPANY] * len(NAMES)
    numbers = ([float(each) for each in column] for column in (PLACES, BUDGET))
    rows = zip(NAMES, company, PHONES, NOTES, *numbers, days, MEMBER, strict=True)
    return [HEADER, *rows]


@pytest.fixture(autouse=True)
def _fields(sales: Membership) -> None:
    for name, kind in (("Places", "number"), ("Budget", "money"), ("Since", "date"), ("Member", "yes_no")):  # fmt: skip
        make_field(sales.company, name, kind)


def stored() -> list[tuple[Any, ...]]:
    return [
        (
            lead.first_name,
            lead.organisation,
            lead.phone,
            lead.notes.replace("\r\n", "\n").replace("\r", "\n"),
            *(lead.custom.get(key) for key in ("places", "budget", "since", "member")),
        )
        for lead in Lead.objects.order_by("pk")
    ]


EXPECTED: Final = list(
    zip(NAMES, [COMPANY] * len(NAMES), PHONES, NOTES, PLACES, BUDGET, SINCE, MEMBER, strict=True)
)  # fmt: skip


def assert_imported_as_expected(checked: LeadImport, sales: Membership) -> None:
    assert checked.state == "paused", checked.problem
    assert unanswered(checked) == []
    assert not [key for key in checked.planned if key.startswith("cell:")]
    run(checked, sales)
    assert stored() == EXPECTED


@pytest.mark.parametrize("saved", TEXTS, ids=str)
def test_each_cell_of_a_text_file_is_stored_as_a_person_would_read_it(
    sales: Membership, saved: SavedText
) -> None:
    assert_imported_as_expected(upload(sales, saved.content), sales)


@pytest.mark.parametrize("workbook", WORKBOOKS.values(), ids=WORKBOOKS)
def test_each_cell_of_a_workbook_is_stored_as_a_person_would_read_it(
    sales: Membership, workbook: Workbook
) -> None:
    checked = upload(sales, workbook.content(typed_rows()))

    assert_imported_as_expected(checked, sales)


def test_each_cell_of_an_open_document_is_stored_as_a_person_would_read_it(
    sales: Membership,
) -> None:
    checked = upload(sales, open_document(typed_rows()))

    assert_imported_as_expected(checked, sales)


def test_there_are_at_least_sixty_files() -> None:
    """Of different programs, encodings and ways to write: what people really have."""
    assert len({saved.content for saved in TEXTS}) + len(WORKBOOKS) + 1 >= 80


def test_a_number_of_a_spreadsheet_is_never_taken_for_thousands(
    sales: Membership,
) -> None:
    rows = [("First name", "Places"), *((f"Lead {n}", n) for n in (1.234, 0.1 + 0.2, 12.5))]  # fmt: skip
    checked = upload(sales, Workbook().content(rows))

    assert unanswered(checked) == []
    run(checked, sales)

    assert [lead.custom["places"] for lead in Lead.objects.order_by("pk")] == [
        "1.234",
        "0.3",
        "12.5",
    ]


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("Places", ("1.200", "12.500", "7")),
        ("Places", ("1,200", "12,500", "7")),
        ("Budget", ("1.200 €", "€ 12.500")),
        ("Budget", ("$1,200", "12,500 USD", "0")),
        ("Places", ("1,5", "1.5", "1.200")),
        ("Since", ("3/4/2026", "5/6/2026")),
        ("Since", ("03-04-2026", "05-06-26")),
        ("Since", ("3/4/26", "2026-05-06")),
        ("Since", ("03 04 2026", "05 06 2026")),
        ("Since", ("4/3/2026 6:00 PM", "5/6/2026 9:00 AM")),
        ("Since", ("12/31/2026", "31/12/2026", "3/4/2026")),
    ],
)
@pytest.mark.parametrize("program", ["a text file", "texts of a spreadsheet"])
def test_what_can_be_read_in_two_ways_is_asked_before_the_start(
    sales: Membership, column: str, cells: Sequence[str], program: str
) -> None:
    rows = [("First name", column), *((f"Lead {at}", cell) for at, cell in enumerate(cells))]  # fmt: skip
    save: Callable[..., bytes] = TextFile(delimiter="\t").content
    if program != "a text file":
        save = Workbook().content

    checked = upload(sales, save(rows))

    assert unanswered(checked) == [column]
    assert not Lead.objects.exists()


def test_what_has_no_single_reading_is_stored_as_answered(sales: Membership) -> None:
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
