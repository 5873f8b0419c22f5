"""Our shorter ways to read and encode values have the same results as those of Django and json."""

import gc
import json
import weakref

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from crm.data_exchange.importing.cells import Reader, TextReader
from crm.data_exchange.importing.column_readings import ColumnReading
from crm.data_exchange.importing.custom_columns import CellReader
from crm.data_exchange.importing.matching import person_key
from crm.models import CustomField, FieldSubject, FieldType
from crm.models.lead_import import ReadableJSONEncoder

ADDRESSES = (
    "a@example.com", "A.b+c_d-e@Sub.Example.COM", "a@b.co", "a@x1.museum", f"a@{'b' * 63}.com", f"a@{'b' * 64}.com",
    "a@b.c", "a@b.c1", "a@b-c.com", "a@-b.com", "a@b-.com", "a@localhost", "a@[127.0.0.1]", "a@127.0.0.1",
    "a..b@example.com", ".a@example.com", "a.@example.com", "a@example.com.", "a@example..com",
    "a b@example.com", "a@exa mple.com",
    "ä@example.com", "a@bücher.example", "a@example.cöm", "a@example.com\n", "\"a b\"@example.com", "a'b@example.com",
    "@example.com", "a@", "a@@example.com", "a@b@example.com", "", "a", "a@example.com,b@example.com",
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_accepted_as_django_accepts_it(address: str) -> None:
    cell = " ".join(address.split())
    try:
        validate_email(cell)
        is_accepted = True
    except ValidationError:
        is_accepted = False

    expected = ({"email": cell}, "") if is_accepted else ({}, "email_invalid")
    assert TextReader("email")(address) == expected


class Rows(list[str]):
    """The rows of a chunk, in a list that allows weak references."""


def rows_after(read: Reader, cell: str) -> Rows | None:
    """The rows after the reader has refused one of their cells; None if they are freed without garbage collection."""

    def read_rows() -> weakref.ref[Rows]:
        rows = Rows([cell])
        for each in rows:
            assert read(each)[1]
        return weakref.ref(rows)

    gc.disable()
    try:
        return read_rows()()
    finally:
        gc.enable()


def test_a_refused_cell_keeps_no_row_in_memory() -> None:
    number = CustomField(
        subject=FieldSubject.LEAD, key="size", name="Size", type=FieldType.NUMBER
    )

    assert rows_after(TextReader("email"), "ada at example.com") is None
    assert rows_after(CellReader("custom.x", number, ColumnReading()), "9" * 30) is None


@pytest.mark.parametrize(
    "value",
    [
        [],
        ["a", 'O"Brien\\', "\x00\t\n\u2028", "Zoë 🚚", ""],
        ["a", 1, None],
        {"a": ["ß"]},
        "ß",
        None,
        [["a"]],
    ],
)
def test_cells_are_encoded_as_json_encodes_them(value: object) -> None:
    assert ReadableJSONEncoder().encode(value) == json.dumps(value, ensure_ascii=False)


ADA = {"first_name": "Ada", "last_name": "Lovelace"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {**ADA, "email": "Ada@Example.com"},
            {"first_name": "A.", "email": "ada@example.com"},
        ),
        (
            {**ADA, "phone": "+44 20 7946-0018"},
            {"first_name": "ADA", "last_name": "lovelace", "phone": "442079460018"},
        ),
        (
            {**ADA, "organisation": "Analytical Engines"},
            {**ADA, "organisation": "analytical engines"},
        ),
        (
            {**ADA, "phone": "1", "organisation": "Engines"},
            {**ADA, "phone": "1", "organisation": "Looms"},
        ),
        (ADA, ADA),
    ],
)
def test_two_rows_are_one_person(one: dict[str, str], other: dict[str, str]) -> None:
    assert person_key(one) == person_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({**ADA, "email": "ada@example.com"}, {**ADA, "email": "ada@example.org"}),
        ({**ADA, "email": "ada@example.com"}, ADA),
        ({**ADA, "phone": "1"}, {**ADA, "phone": "2"}),
        ({**ADA, "phone": "1"}, {"first_name": "Bob", "phone": "1"}),
        ({**ADA, "organisation": "Engines"}, {**ADA, "organisation": "Looms"}),
        ({**ADA, "organisation": "Engines"}, ADA),
    ],
)
def test_two_rows_are_two_people(one: dict[str, str], other: dict[str, str]) -> None:
    assert person_key(one) != person_key(other)
