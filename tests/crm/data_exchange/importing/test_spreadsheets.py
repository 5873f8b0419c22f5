"""Spreadsheets: what is read of them, and what happens to those that would exhaust memory."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from crm.data_exchange.importing import spreadsheets
from crm.data_exchange.importing.reading import LONGEST_CELL, read_table
from crm.data_exchange.importing.spreadsheets import UnreadableFile
from tests.crm.data_exchange.importing.malformed_spreadsheets import (
    claiming,
    packed,
    parts_of,
    workbook,
)
from tests.crm.data_exchange.importing.saved_files import Workbook
from tests.crm.data_exchange.importing.spreadsheet_files import (
    archive,
    ods,
    text_row,
    xlsx,
)

LEADS = text_row(1, "Name", "E-mail") + text_row(2, "Ada", "ada@example.com")


def test_the_first_sheet_with_anything_in_it_is_read() -> None:
    table = read_table(xlsx("", LEADS, text_row(1, "Other")))

    assert table.header == ["Name", "E-mail"]
    assert [(row.number, row.cells) for row in table.rows] == [
        (2, ["Ada", "ada@example.com"])
    ]
    assert table.notes == ["The file has 3 sheets, of which “Sheet 2” is read."]


def test_a_formula_is_its_value_and_a_number_has_no_decimals_of_its_own() -> None:
    formula = '<c r="A2" t="str"><f>"A"&amp;"da"</f><v>Ada</v></c>'
    others = '<c r="B2"><v>31612345678</v></c><c r="C2" t="b"><v>1</v></c>'
    table = read_table(
        xlsx(
            text_row(1, "Name", "Phone", "Consent")
            + f'<row r="2">{formula}{others}</row>'
        )
    )

    assert [row.cells for row in table.rows] == [["Ada", "31612345678", "yes"]]


def test_rows_keep_the_numbers_that_they_have_in_the_sheet() -> None:
    assert [
        row.number
        for row in read_table(xlsx(text_row(3, "Name") + text_row(5, "Ada"))).rows
    ] == [5]


def test_an_ods_file_is_read_too() -> None:
    table = read_table(
        ods(("Naam", "Bedrijf"), ("Ada", "Müller & Zn.".replace("&", "&amp;")))
    )

    assert table.header == ["Naam", "Bedrijf"]
    assert [row.cells for row in table.rows] == [["Ada", "Müller & Zn."]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda: archive({"hello.txt": "hello"}), "can.t be read"),
        (lambda: xlsx(LEADS)[:300], "can.t be read"),
        (lambda: xlsx(""), "empty"),
        (lambda: xlsx(), "can.t be read|empty"),
        (
            lambda: xlsx(
                LEADS + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
            ),
            "too large",
        ),
        (
            lambda: workbook('<row r="2"><c r="A2" s="1"><v>-1e300</v></c></row>'),
            "can.t be read",
        ),
        (
            lambda: workbook('<row r="2"><c r="A2" s="2"><v>1e300</v></c></row>'),
            "can.t be read",
        ),
        (lambda: packed(" ", megabytes=65), "too large"),
        (lambda: packed(" ", megabytes=65, is_honest=False), "can.t be read"),
        pytest.param(
            lambda: packed("<row><c><v>1</v></c></row>", megabytes=63),
            "more than",
            marks=pytest.mark.thorough,
        ),
    ],
    ids=[
        "another archive",
        "cut off",
        "an empty sheet",
        "no sheet",
        "the far corner",
        "no date at all",
        "endless",
        "a bomb",
        "a bomb that says it is none",
        "the largest that is read",
    ],
)
def test_what_can_t_be_read_is_refused_in_a_sentence(
    content: Callable[[], bytes], sentence: str
) -> None:
    with pytest.raises(UnreadableFile, match=sentence):
        list(read_table(content()).rows)


def test_what_would_unpack_to_too_much_is_refused_before_it_is_unpacked() -> None:
    """These have no content: if they were unpacked, the sentence would be that they can't be read."""
    for megabytes, sentence in (
        (63, "can.t be read"),
        (65, "too large"),
        (2_000, "too large"),
    ):
        with pytest.raises(UnreadableFile, match=sentence):
            read_table(claiming(megabytes))


def test_a_sheet_is_named_by_what_can_be_read_of_its_name() -> None:
    parts = parts_of(xlsx(LEADS, ""))
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(
        b"Sheet 1", b"A&#10;\xe2\x80\xaeb" + b"x" * 90
    )

    [note] = read_table(archive(parts)).notes

    assert note == f"The file has 2 sheets, of which “Ab{'x' * 38}” is read."


def test_of_a_long_cell_the_beginning_is_kept() -> None:
    [row] = read_table(
        xlsx(text_row(1, "Name", "Notes") + text_row(2, "Ada", "x" * 200_000))
    ).rows

    assert [len(cell) for cell in row.cells] == [3, LONGEST_CELL]


def test_a_reader_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "SECONDS", 0.001)

    with pytest.raises(UnreadableFile, match="too large"):
        read_table(xlsx(LEADS))


@pytest.mark.parametrize(
    ("number_format", "number", "seen"),
    [
        ("0%", 0.25, "25%"),
        ("0.00%", 0.07, "7%"),
        ("#,##0.0 %;[Red]-#,##0.0 %", -0.125, "-12.5%"),
        ("00000", 1234.0, "01234"),
        ("0000000000;-0", 201234567.0, "0201234567"),
        ("00000", 1.5, "1.5"),
        ('0" %"', 25.0, "25"),
        ("0\\%", 25.0, "25"),
        ("#,##0.00", 1234.5, "1234.5"),
        ("General", 0.25, "0.25"),
    ],
)
@pytest.mark.parametrize(
    "workbook", [{}, {"left": 2, "above": 3}, {"before": [".Lists"]}, {"dates": "ISO"}]
)
def test_a_percentage_and_leading_zeros_are_read_as_people_see_them(
    workbook: dict[str, Any], number_format: str, number: float, seen: str
) -> None:
    file = Workbook(number_format=number_format, **workbook)
    rows = [("Name", "Number"), ("Ada", number), ("25%", "01")]

    table = read_table(file.content(rows))

    assert [row.cells for row in table.rows] == [["Ada", seen], ["25%", "01"]]


def test_midnight_is_a_time_next_to_other_times() -> None:
    days = [(date(2026, 7, 4), date(2026, 7, 4)), (date(2026, 7, 5), date(2026, 7, 5))]
    parts = parts_of(Workbook().content([("Done", "Due"), *days]))
    place = "xl/worksheets/sheet1.xml"
    # The helper writes 18:00 in each cell. Without that fraction, it is midnight.
    midnights = re.sub(rb'(r="(?:A2|B\d)"[^>]*><v>\d+)\.75', rb"\1", parts[place])

    table = read_table(archive({**parts, place: midnights}))

    assert [row.cells for row in table.rows] == [
        ["2026-07-04T00:00:00", "2026-07-04"],
        ["2026-07-05T18:00:00", "2026-07-05"],
    ]


def test_formats_that_can_t_be_read_leave_the_numbers_as_they_are() -> None:
    file = Workbook(number_format="0%").content([("Name", "Number"), ("Ada", 0.25)])
    parts = parts_of(file)

    styles = parts["xl/styles.xml"] + b"<"

    table = read_table(archive({**parts, "xl/styles.xml": styles}))

    assert [row.cells for row in table.rows] == [["Ada", "0.25"]]


@pytest.mark.parametrize("before", [[".Lists"], ["Export Summary"]])
def test_the_sheet_that_people_see_is_read(before: list[str]) -> None:
    table = read_table(Workbook(before=before).content([("Name",), ("Ada",)]))

    assert [row.cells for row in table.rows] == [["Ada"]]
    assert table.notes == ["The file has 2 sheets, of which “Leads” is read."]


def test_a_hidden_sheet_is_read_if_there_is_no_other() -> None:
    parts = parts_of(Workbook().content([("Name",), ("Ada",)]))
    hidden = parts["xl/workbook.xml"].replace(b'"visible"', b'"hidden"')

    table = read_table(archive({**parts, "xl/workbook.xml": hidden}))

    assert [row.cells for row in table.rows] == [["Ada"]]
