"""What is read of a body, and what is refused."""

import json

import pytest

from crm.intake.bodies import Unreadable, fields_of, text_of
from crm.models.intake import RefusalReason

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "kind", "fields"),
    [
        (b'{"a": {"b": ["x", 2]}, "c": true}', JSON, {"a.b.0": "x", "a.b.1": "2", "c": "yes"}),
        (b'{"a": "x"}', "text/plain", {"a": "x"}),
        (b'{"a": "x"}', "application/json; charset*=zz'q'%ff", {"a": "x"}),
        (b'{"a": null, "b": ""}', JSON, {"a": "", "b": ""}),
        (b'{"a": "x", "a": "y"}', JSON, {"a": "y"}),
        (b'{"a": "x\\u0000y\\ud800"}', JSON, {"a": "xy?"}),
        ('{"a": "é"}'.encode("utf-16"), JSON, {"a": "é"}),
        ('{"a": "é"}'.encode("cp1252"), JSON, {"a": "é"}),
        (b"a=%C3%A9+b&a=", FORM, {"a": "é b"}),
        (b'{"a": "x"}', FORM, {"a": "x"}),
    ],
)  # fmt: skip
def test_fields_by_path(body, kind, fields):
    assert fields_of(body, kind) == fields


def test_the_parts_of_a_form_and_the_names_of_its_files():
    body = (
        b'--X\r\nContent-Disposition: form-data; name="email"\r\n\r\nada@example.com\r\n'
        b'--X\r\nContent-Disposition: form-data; name="cv"; filename="cv.pdf"\r\n\r\n%PDF\r\n'
        b'--X\r\nContent-Disposition: form-data; name="note"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--X--\r\n"
    )
    found = fields_of(body, "multipart/form-data; boundary=X")

    assert found == {"email": "ada@example.com", "cv": "cv.pdf", "note": "Hello"}


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"[1]", JSON, RefusalReason.NOT_AN_OBJECT),
        (b"12", JSON, RefusalReason.NOT_AN_OBJECT),
        (b'{"a": NaN}', JSON, RefusalReason.UNREADABLE),
        (b'{"a": -Infinity}', JSON, RefusalReason.UNREADABLE),
        (b"{", JSON, RefusalReason.UNREADABLE),
        (b"", JSON, RefusalReason.UNREADABLE),
        (b"<xml/>", "application/xml", RefusalReason.UNREADABLE),
        (b'{"a":' * 50_000, JSON, RefusalReason.TOO_COMPLEX),
        (b'{"a":' * 12 + b"1" + b"}" * 12, JSON, RefusalReason.TOO_COMPLEX),
        (json.dumps(dict.fromkeys(map(str, range(501)), 1)).encode(), JSON, RefusalReason.TOO_COMPLEX),
        (b"a&" * 96_000, FORM, RefusalReason.TOO_COMPLEX),
        (b"\r\n--X" * 40_000, "multipart/form-data; boundary=X", RefusalReason.TOO_COMPLEX),
        (b"no parts", "multipart/form-data", RefusalReason.UNREADABLE),
        (json.dumps({"k" * 201: [1, 1]}).encode(), JSON, RefusalReason.TOO_COMPLEX),
    ],
)  # fmt: skip
def test_what_is_refused(body, kind, reason):
    with pytest.raises(Unreadable) as refused:
        fields_of(body, kind)

    assert refused.value.reason == reason


def test_a_huge_number_is_refused():
    with pytest.raises(Unreadable):
        fields_of(b'{"a": ' + b"9" * 5_000 + b"}", JSON)


def test_text_in_any_encoding():
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        assert text_of("Zoë".encode(encoding)) == "Zoë"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Disposition: form-data; name*=a; name*0=b",
        b"Content-Disposition: form-data; name*" + b"9" * 5_000 + b"=a",
        b"Content-Type: message/rfc822\r\n\r\n" * 3_000,
        b'Content-Disposition: form-data; x=a; "' + b";" * 200_000,
    ],
)
def test_parts_with_odd_heads_are_left_out(head):
    body = b"--X\r\n" + head + b"\r\n\r\n1\r\n--X--"

    assert fields_of(body, "multipart/form-data; boundary=X") == {}
