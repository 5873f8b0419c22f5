"""What is read in a shorter way than Django's or json's is read the same."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from crm.importing.custom_columns import CellProblem
from crm.importing.values import TextReader
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

    try:
        assert TextReader("email")(address) == {"email": cell}
        assert is_accepted
    except CellProblem:
        assert not is_accepted


@pytest.mark.parametrize(
    "value", [[], ["a", 'O"Brien\\', "\x00\t\n\u2028", "Zoë 🚚", ""], ["a", 1, None], {"a": ["ß"]}, "ß", None, [["a"]]]
)
def test_cells_are_encoded_as_json_encodes_them(value: object) -> None:
    assert ReadableJSONEncoder().encode(value) == json.dumps(value, ensure_ascii=False)
