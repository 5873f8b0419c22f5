"""In which format a text file is read: guessed for what spreadsheets save, and as people choose otherwise."""

import pytest

from crm.data_exchange.importing import text_formats
from crm.data_exchange.importing.reading import read_table
from crm.data_exchange.importing.text_formats import (
    ENCODINGS,
    ESCAPED,
    TextFormat,
    guess_format,
)

HEADER = "Vorname;Nachname;E-Mail;Firma\n"
WESTERN = (
    f"{HEADER}Núñez;Lefèvre;a@example.com;Möbelhaus Süd GmbH\n"
    "Øystein;Håkansson;b@example.com;Société Générale d\u2019Eau\n"
    "Mila;Groß;c@example.com;Café Zürich AG \u2013 “1990”\n"
)


def guessed(content: bytes) -> TextFormat:
    return guess_format(content, [])


@pytest.mark.parametrize(
    ("saved", "encoding"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"), ("cp1252", "cp1252"),
    ],
)  # fmt: skip
def test_western_names_are_read_as_they_were_written(saved: str, encoding: str) -> None:
    content = WESTERN.encode(saved)

    assert guessed(content) == TextFormat(encoding, ";")
    assert [";".join(row.cells) for row in read_table(content).rows] == WESTERN.split(
        "\n"
    )[1:-1]


@pytest.mark.parametrize(
    "name",
    [
        "Núñez",
        "Lefèvre",
        "Anaïs",
        "Łuczak",
        "Müller",
        "Çelik",
        "Grüße",
        "Žižka",
        "Ñandú",
        "œuf",
    ],
)
def test_one_name_is_read_as_windows_1252_before_anything_exotic(name: str) -> None:
    content = f"{HEADER}{name};x;y;z\n".encode("cp1252", "replace")

    assert guessed(content).encoding == (
        "cp1252" if not name.startswith("Ł") else "utf-8"
    )


@pytest.mark.parametrize(
    ("encoding", "row"),
    [
        ("mac_roman", "René;Lefèvre;a@example.com;Société"), ("cp850", "René;Lefèvre;a@example.com;Société"),
        ("cp1251", "Иван;Петров;a@example.com;Москва"), ("cp1253", "Γιώργος;Παπαδόπουλος;a@example.com;Αθήνα"),
        ("cp932", "太郎;山田;a@example.com;東京株式会社"), ("gb18030", "小明;王;a@example.com;北京公司"),
    ],
)  # fmt: skip
def test_what_windows_1252_makes_no_words_of_is_recognised(
    encoding: str, row: str
) -> None:
    content = f"{HEADER}{row}\n".encode(encoding)

    assert guessed(content).encoding == encoding
    assert [";".join(each.cells) for each in read_table(content).rows] == [row]


def test_any_encoding_that_is_offered_can_be_chosen() -> None:
    for encoding in ENCODINGS:
        content = "Name;Größe\nAda;µ\n".encode(encoding, "replace")

        assert [
            row.cells[0] for row in read_table(content, TextFormat(encoding, ";")).rows
        ] == ["Ada"]


def test_a_choice_is_kept_even_if_it_makes_no_words() -> None:
    content = f"{HEADER}Núñez;Lefèvre;;\n".encode("cp1252")

    assert [
        row.cells for row in read_table(content, TextFormat("cp1250", ";")).rows
    ] == [["Núńez", "Lefčvre"]]


def test_utf_8_with_a_few_wrong_bytes_stays_utf_8() -> None:
    notes: list[str] = []

    assert (
        guess_format(("Müller;Köln\n" * 50).encode() + b"Ren\xe9;x\n", notes).encoding
        == "utf-8"
    )
    assert notes == [
        "The file is in UTF-8, but for 1 of its characters. They are shown as \ufffd."
    ]


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("sep=;", ";"),
        ("SEP=,", ","),
        ('"sep=\t"', "\t"),
        ("sep=^", "^"),
        ("sep=|\r", "|"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_the_separator_that_the_first_line_names_is_taken(
    line: str, delimiter: str, encoding: str
) -> None:
    table = read_table(
        f"{line}\nName{delimiter}E-mail\nAda{delimiter}a,b;c@example.com\n".encode(
            encoding
        )
    )

    assert table.format is not None
    assert table.format.delimiter == delimiter
    assert table.header == ["Name", "E-mail"]
    assert [(row.number, len(row.cells)) for row in table.rows] == [
        (3, 3 if delimiter in ",;" else 2)
    ]


def test_the_quotation_mark_can_be_chosen() -> None:
    content = b"Name,Note\nO'Brien,'x, y'\n"

    assert [
        row.cells for row in read_table(content, TextFormat("utf-8", ",", "'")).rows
    ] == [["O'Brien", "x, y"]]
    assert [
        row.cells
        for row in read_table(b'Name,Note\nAda,"x\n', TextFormat("utf-8", ",", "")).rows
    ] == [["Ada", '"x']]


@pytest.mark.parametrize(
    ("text", "unclosed"),
    [
        ('Name,Org\nAda,"Acme\nBob,Beta\nCarl,Gamma\n', [2]),
        ('Name,Org\nAda,"Acme\nBob,Beta\nCarl,"Gamma"\n', [2]),
        ('Name,Org\n"Ada,Acme\nBob,Beta\nCarl,"Gamma\n', [2, 4]),
        ('Name,Org\nAda,"Acme"\nBob,Beta\nCarl,"Gamma', []),
    ],
)
def test_a_quotation_mark_that_isn_t_closed_swallows_no_rows(
    text: str, unclosed: list[int]
) -> None:
    rows = list(read_table(text.encode()).rows)

    assert [len(row.cells) for row in rows if not row.is_unclosed] == [2] * (
        3 - len(unclosed)
    )
    assert [row.number for row in rows] == [2, 3, 4]
    assert [row.number for row in rows if row.is_unclosed] == unclosed


def test_a_cell_may_have_several_lines() -> None:
    [row] = read_table(b'Name,Notes\nAda,"calls ""Acme""\nin March"\n').rows

    assert (row.cells, row.is_unclosed) == (["Ada", 'calls "Acme"\nin March'], False)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_stray_zero_makes_no_utf_16(encoding: str) -> None:
    table = read_table("Name,E-mail\nZo\0ë,zoe@example.com\n".encode(encoding))

    assert table.format == TextFormat(encoding)
    assert [row.cells for row in table.rows] == [["Zoë", "zoe@example.com"]]


def test_a_spreadsheet_has_no_text_format() -> None:
    assert TextFormat.of({}) is None
    assert TextFormat("cp1252", ";").label == "Windows-1252, semicolons"


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        (r'"He said \"hi\"","x"', ['He said "hi"', "x"]),
        (r'"a\\b","C:\\"', ["a\\b", "C:\\"]),
        (r'"C:\temp","x"', ["C:\\temp", "x"]),
    ],
)
def test_quotation_marks_that_a_database_escapes_are_read(
    line: str, cells: list[str]
) -> None:
    content = f'Name,Notes\n"Ada \\"A\\" L","y"\n{line}\n'.encode()

    table = read_table(content)

    assert table.format == TextFormat("utf-8", ",", ESCAPED)
    assert [row.cells for row in table.rows] == [['Ada "A" L', "y"], cells]


def test_a_backslash_before_a_closing_mark_is_a_backslash() -> None:
    content = b'Name,Folder\nAda,"C:\\leads\\"\nIda,"D:\\"\n'

    table = read_table(content)

    assert table.format == TextFormat("utf-8", ",")
    assert [row.cells[1] for row in table.rows] == ["C:\\leads\\", "D:\\"]


def test_a_backslash_before_a_doubled_mark_is_a_backslash():
    content = b'Name,Source,Notes\r\nAda,"\\""",",\n0"\r\n'

    assert text_formats.guess_format(content, []).quote != text_formats.ESCAPED
