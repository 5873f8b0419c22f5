"""Files as people have them: how each is read, and the sentence for each that can't be."""

import pytest

from crm.data_exchange.importing import reading
from crm.data_exchange.importing.cells import TextReader
from crm.data_exchange.importing.columns import Guess, guess_columns, looks_like_value
from crm.data_exchange.importing.objects.leads import LEADS
from crm.data_exchange.importing.reading import read_table
from crm.data_exchange.importing.spreadsheets import UnreadableFile

HEADER = "Vorname;Nachname;E-Mail\n"


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}Jörg;Müller;j@example.com\n".encode(),
        f"{HEADER}Jörg;Müller;j@example.com\n".encode("utf-8-sig"),
        f"{HEADER}Jörg;Müller;j@example.com\n".encode("utf-16"),
        f"{HEADER}Jörg;Müller;j@example.com\n".encode("cp1252"),
        f"{HEADER}Jörg;Müller;j@example.com\n".replace(";", ",")
        .replace("\n", "\r\n")
        .encode(),
        f"{HEADER}Jörg;Müller;j@example.com\n".replace(";", "\t")
        .replace("\n", "\r")
        .encode(),
        f"\n{HEADER}\n\n;;\nJörg;Müller;j@example.com;;\n".encode(),
        f'{HEADER}"Jörg";"Müller";"j@example.com"'.encode(),
    ],
    ids=[
        "UTF-8",
        "with a BOM",
        "UTF-16",
        "Windows-1252",
        "commas",
        "tabs",
        "empty rows",
        "quoted",
    ],
)
def test_a_file_is_read_whatever_its_encoding_and_delimiter(content: bytes) -> None:
    table = read_table(content)

    assert table.header == ["Vorname", "Nachname", "E-Mail"]
    assert [row.cells for row in table.rows] == [["Jörg", "Müller", "j@example.com"]]


def test_rows_keep_the_numbers_that_they_have_in_the_file() -> None:
    assert [row.number for row in read_table(b"name\n\nAda\n\nIda\n").rows] == [3, 5]


def test_a_file_that_ends_in_mid_character_says_so() -> None:
    table = read_table("name,city\nAda,Köln\nIda,Malmö".encode()[:-1])

    assert [row.cells for row in table.rows] == [["Ada", "Köln"], ["Ida", "Malm\ufffd"]]
    assert any("middle of a character" in note for note in table.notes)


def test_without_a_header_the_first_row_is_a_lead() -> None:
    table = read_table(b"Ada,ada@example.com\nIda,ida@example.com\n")

    assert table.header == ["Column 1", "Column 2"]
    assert len(list(table.rows)) == 2


def test_columns_of_one_name_stay_apart() -> None:
    assert read_table(b"name,name,,name (2)\nAda,B,C,D\n").header == [
        "name",
        "name (2)",
        "Column 3",
        "name (2) (2)",
    ]
    assert read_table(b"name (2),name,name\nAda,B,C\n").header == [
        "name (2)",
        "name",
        "name (3)",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b",,,\n,,,\n", "empty"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "old Excel"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x89PNG\r\n" + bytes(30), "picture"),
        (b"\x7fELF" + bytes(200), "neither a CSV"),
        (b"<html><body><table><tr><td>Ada</td></tr></table>", "web page"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html>", "web page"),
        (b'<?xml version="1.0"?><Workbook/>', "web page"),
        (b"a," * 999 + b"a\nAda\n", "1,000 columns"),
        (b"," * 2_000_000, "too long"),
        (b'name\n"Ada' + b"\nx" * 200_000, "quotation mark"),
    ],
    ids=[
        "nothing",
        "blanks",
        "a BOM",
        "commas",
        "XLS",
        "PDF",
        "PNG",
        "a program",
        "HTML",
        "HTML with a BOM",
        "XML",
        "wide",
        "one line",
        "open quote",
    ],
)
def test_what_is_no_table_gets_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableFile, match=sentence):
        list(read_table(content).rows)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ROWS", 2)

    with pytest.raises(UnreadableFile, match="more than 2 rows"):
        list(read_table(b"name\na\nb\nc\n").rows)


def test_what_a_text_has_many_times_is_no_delimiter() -> None:
    table = read_table(b'first name,notes\nAda,"a|b\nc|d\ne|f\ng|h"\n')

    assert table.header == ["first name", "notes"]


def test_an_address_is_read_without_what_came_along_unseen_when_it_was_copied() -> None:
    assert TextReader("email")("\ufeffada@example.com\u200b") == (
        {"email": "ada@example.com"},
        "",
    )
    assert TextReader("email")("<ada@example.com>") == (
        {"email": "ada@example.com"},
        "",
    )


def test_a_long_text_is_no_address_and_is_not_tried_as_one() -> None:
    """The pattern takes seconds for such a cell of 20,000 characters."""
    for cell in ("a@b." + "x" * 251, "a@" + "." * 20_000 + "@", "1" * 255):
        assert guess_columns(LEADS, ["?"], [[cell]], {}) == [Guess("", is_sure=True)]
        assert not looks_like_value(cell)
    assert looks_like_value("a@b." + "x" * 250)


@pytest.mark.parametrize(
    "header",
    [
        "Vorname;Nachname;E-Mail-Adresse;Mobiltelefon;Firma;Position;Herkunft;Typ;Status;Schlagwörter;Notiz",
        "Voornaam;Achternaam;E-mailadres;Telefoonnummer;Organisatie;Functietitel;Herkomst;Soort;Status;Labels;Notities",
        "Prénom;Nom de famille;Courriel;Portable;Entreprise;Fonction;Origine;Type;Statut;Étiquettes;Remarques",
        "Nombre;Apellidos;Correo electrónico;Móvil;Empresa;Cargo;Origen;Tipo;Estado;Etiquetas;Observaciones",
    ],
    ids=["German", "Dutch", "French", "Spanish"],
)
def test_names_of_columns_in_other_languages_are_known(header: str) -> None:
    names = header.split(";")

    guesses = guess_columns(LEADS, names, [[""] * len(names)], {})

    assert [(guess.field, guess.is_sure) for guess in guesses] == [
        (field, True)
        for field in (
            "first_name", "last_name", "email", "phone", "organisation", "title", "source", "type", "status", "tags",
            "notes",
        )
    ]  # fmt: skip


def test_columns_are_guessed_by_name_or_else_by_what_is_in_them() -> None:
    header = [
        "Prénom",
        "NACHNAME",
        "Kontakt",
        "E mail",
        "Mail",
        "Nr",
        "Campaign",
        "Colour",
    ]
    rows = [
        [
            "Ada",
            "B",
            "ada@example.com",
            "a@example.com",
            "",
            "+31 6 1234",
            "Expo",
            "red",
        ]
    ]

    guesses = guess_columns(LEADS, header, rows, {})

    assert [(guess.field, guess.is_sure) for guess in guesses] == [
        ("first_name", True), ("last_name", True), ("", True), ("email", True), ("", True), ("phone", False),
        ("source", False), ("", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("above", "titles"),
    [
        ("Table 1\n", "“Table 1”"),
        ("Leads of the fair\n\nAs of: 3 Nov 2026\n\n", "“Leads of the fair”, “As of: 3 Nov 2026”"),
        (";;Leads\n", "“Leads”"),
        (f"{'x' * 90}\n", f"“{'x' * 40}”"),
    ],
)  # fmt: skip
def test_titles_above_the_column_names_are_left_out_with_a_note(
    above: str, titles: str
) -> None:
    content = f"{above}{HEADER}Ada;Lovelace;ada@example.com\n"

    table = read_table(content.encode())

    assert table.header == ["Vorname", "Nachname", "E-Mail"]
    assert [row.cells for row in table.rows] == [["Ada", "Lovelace", "ada@example.com"]]
    assert table.notes == [f"Left out above the names of the columns: {titles}."]


@pytest.mark.parametrize(
    "content",
    [
        "Name\nAda\nIda\n",
        "Ada\nIda;ida@example.com\n",
        "Name\nLovelace, Ada\nHopper, Grace\n",
    ],
)
def test_a_first_row_above_no_column_names_is_no_title(content: str) -> None:
    table = read_table(content.encode())

    assert len(list(table.rows)) == content.count("\n") - 1
    assert not any("Left out" in note for note in table.notes)
