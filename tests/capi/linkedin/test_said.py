import pytest

from capi.linkedin.decisions import TransportError
from capi.linkedin.parsing import ApiMessage, api_message, mask
from tests.capi.linkedin.said import answered, troubled

HASH = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"
TOKEN = "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV_5mff4gPODzOYR"


def test_code_and_message_are_kept():
    body = {
        "status": 401,
        "serviceErrorCode": 65600,
        "code": "INVALID_ACCESS_TOKEN",
        "message": "Invalid access token",
    }

    assert api_message(answered(401, body)) == ApiMessage(
        "INVALID_ACCESS_TOKEN", "Invalid access token"
    )


def test_without_a_code_the_number_is_kept():
    assert api_message(
        answered(403, {"serviceErrorCode": 100, "message": "No"})
    ) == ApiMessage("100", "No")


def test_lines_become_one():
    assert api_message(
        answered(422, {"message": "ERROR :: /a\r\nERROR :: /b\n"})
    ) == ApiMessage("", "ERROR :: /a ERROR :: /b")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"<h1>502 Bad Gateway</h1>", "502 Bad Gateway"),
        (
            b"<!DOCTYPE html>\n<html><head><TITLE>503 Busy</TITLE></head><body><p>Later.</p>",
            "503 Busy",
        ),
        (b"<html><title> </title><p>Try<br>again &amp; again", "Try again & again"),
        (b"<p>ada&#64;example.com", "•••"),
        (b"<" * 1_000_000, "<" * 1999 + "…"),
    ],
)
def test_of_a_page_the_title_or_the_text_is_kept(page, text):
    assert api_message(answered(503, page)) == ApiMessage("", text)


@pytest.mark.parametrize("body", [b'{"message": "cut', b'["a list"]', b'{"message":7}'])
def test_a_body_without_a_message_is_kept_as_it_is(body):
    assert api_message(answered(502, body)) == ApiMessage("", body.decode())


@pytest.mark.parametrize(
    "answer",
    [
        answered(201),
        answered(200, {"elements": [{"status": 201}]}),
        troubled(TransportError.TIMED_OUT),
    ],
)
def test_where_nothing_was_said_nothing_is_kept(answer):
    assert api_message(answer) == ApiMessage("", "")


def test_broken_utf_8_and_nuls_can_be_stored():
    assert api_message(answered(500, b"a\0b\xff\xfe c")) == ApiMessage(
        "", "a b\ufffd\ufffd c"
    )


def test_the_stored_words_are_shortened_after_they_were_masked():
    kept = api_message(
        answered(
            400,
            {
                "code": "C" * 200,
                "message": "x " * 995 + "ada.lovelace@example.com " + "y " * 500,
            },
        )
    )

    assert kept.code == "C" * 79 + "…"
    assert len(kept.message) == 2000
    assert kept.message.endswith("x ••• y y y…")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("for ada@example.com.", "for •••"),
        ("for <ada.lovelace+li@mail.example.org>", "for <•••>"),
        ('"Ada@Example.COM" is bad', '"•••" is bad'),
        ("email=ada%40example.com&x=1", "email=•••&x=1"),
        ("jürgen@bücher.example", "•••"),
        (f"idValue {HASH} refused", "idValue ••• refused"),
        (f"idValue {HASH.upper()}", "idValue •••"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer •••"),
        ("bearer   x", "Bearer •••"),
        (f"token {TOKEN}", "token •••"),
        (f"access_token={TOKEN}&x=1", "access_token=•••&x=1"),
    ],
)
def test_what_may_be_a_person_or_a_token_is_masked(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "INVALID_USER_IDENTIFICATION_FIELD_VALUE",
        "urn:lla:llaPartnerConversion:104012",
        "ERROR :: /conversionValue/amount :: 19.9 cannot be coerced to String",
        "Conversion time should be within 90 days and not exceed current time, indices [0, 3] (0-indexed).",
        "Not enough permissions to access: conversionEvents.BATCH_CREATE.20260901",
        "1 @ 2",
    ],
)
def test_what_helps_to_understand_stays(text):
    assert mask(text) == text
