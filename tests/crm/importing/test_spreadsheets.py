"""Spreadsheets: what is read of them, and what happens to those that would take all memory."""

from collections.abc import Callable

import pytest

from crm.importing import spreadsheets
from crm.importing.reading import read_table
from crm.importing.spreadsheets import UnreadableFile
from tests.crm.importing.spreadsheet_files import archive, ods, text_row, xlsx

LEADS = text_row(1, "Name", "E-mail") + text_row(2, "Ada", "ada@example.com")


def test_the_first_sheet_with_anything_in_it_is_read() -> None:
    table = read_table(xlsx("", LEADS, text_row(1, "Other")))

    assert table.header == ["Name", "E-mail"]
    assert [(row.number, row.cells) for row in table.rows] == [(2, ["Ada", "ada@example.com"])]
    assert table.notes == ["The file has 3 sheets, of which “Sheet 2” is read."]


def test_a_formula_is_its_value_and_a_number_has_no_decimals_of_its_own() -> None:
    formula = '<c r="A2" t="str"><f>"A"&amp;"da"</f><v>Ada</v></c>'
    others = '<c r="B2"><v>31612345678</v></c><c r="C2" t="b"><v>1</v></c>'
    table = read_table(xlsx(text_row(1, "Name", "Phone", "Consent") + f'<row r="2">{formula}{others}</row>'))

    assert [row.cells for row in table.rows] == [["Ada", "31612345678", "yes"]]


def test_rows_keep_the_numbers_that_they_have_in_the_sheet() -> None:
    assert [row.number for row in read_table(xlsx(text_row(3, "Name") + text_row(5, "Ada"))).rows] == [5]


def test_an_ods_file_is_read_too() -> None:
    table = read_table(ods(("Naam", "Bedrijf"), ("Ada", "Müller & Zn.".replace("&", "&amp;"))))

    assert table.header == ["Naam", "Bedrijf"]
    assert [row.cells for row in table.rows] == [["Ada", "Müller & Zn."]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda: archive({"hello.txt": "hello"}), "can.t be read"),
        (lambda: xlsx(LEADS)[:300], "can.t be read"),
        (lambda: xlsx(""), "empty"),
        (lambda: xlsx(), "can.t be read|empty"),
        (lambda: xlsx(LEADS + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'), "too large"),
        pytest.param(lambda: xlsx(LEADS + text_row(3, "x" * 80_000_000)), "too large", marks=pytest.mark.thorough),
    ],
    ids=["another archive", "cut off", "an empty sheet", "no sheet", "the far corner", "a bomb"],
)
def test_what_can_t_be_read_is_refused_in_a_sentence(content: Callable[[], bytes], sentence: str) -> None:
    with pytest.raises(UnreadableFile, match=sentence):
        list(read_table(content()).rows)


def test_a_reader_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "SECONDS", 0.001)

    with pytest.raises(UnreadableFile, match="too large"):
        read_table(xlsx(LEADS))
