"""Reads the fields of a body: JSON or a form. Nothing in it is trusted, so each size and depth has a limit."""

import json
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any, Final, Never
from urllib.parse import parse_qsl

from crm.models.intake import RefusalReason

FIELDS_AT_MOST: Final = 500
LEVELS_AT_MOST: Final = 10
JSON: Final = ("application/json", "text/json")
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"


class Unreadable(Exception):
    """The body has no fields that can be read."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason.label)
        self.reason = reason


def fields_of(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a body by their paths, such as `contact.email`. Raises Unreadable.

    Of fields with the same path, the last one that is not empty counts. Of a file, only its name.
    """
    found: dict[str, str] = {}
    for number, (path, value) in enumerate(_each_field(body, content_type)):
        if number >= FIELDS_AT_MOST:
            raise Unreadable(RefusalReason.TOO_COMPLEX)
        name, text = _storable(path), _storable(value).strip()
        if text or name not in found:
            found[name] = text
    return found


def text_of(body: bytes) -> str:
    """The body as text: UTF-8, UTF-16 with its mark, or else Windows-1252."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def kind_of(content_type: str) -> str:
    """The media type, without its parameters: those may be anything."""
    return content_type.partition(";")[0].strip().lower()


def _each_field(body: bytes, content_type: str) -> Iterator[tuple[str, str]]:
    kind = kind_of(content_type)
    if kind == MULTIPART:
        return _fields_of_parts(body, content_type)
    if kind == FORM:
        return _fields_of_form(body)
    if kind in JSON or kind.endswith("+json") or body.lstrip()[:1] == b"{":
        return _fields_of_json(body)
    raise Unreadable(RefusalReason.UNREADABLE)


def _fields_of_form(body: bytes) -> Iterator[tuple[str, str]]:
    text = text_of(body)
    # Counted before it is split: 192 kB of separators are 200,000 fields.
    if text.count("&") >= FIELDS_AT_MOST:
        raise Unreadable(RefusalReason.TOO_COMPLEX)
    yield from parse_qsl(text, keep_blank_values=True, errors="replace")


def _fields_of_parts(body: bytes, content_type: str) -> Iterator[tuple[str, str]]:
    if body.count(b"\n--") > FIELDS_AT_MOST:
        raise Unreadable(RefusalReason.TOO_COMPLEX)
    header = content_type.replace("\r", " ").replace("\n", " ")
    head = f"Content-Type: {header}\r\n\r\n".encode("latin-1", "replace")
    whole = message_from_bytes(head + body)
    if not whole.is_multipart():
        raise Unreadable(RefusalReason.UNREADABLE)
    for part in whole.get_payload():
        assert isinstance(part, Message)
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or part.is_multipart():
            continue
        yield name, part.get_filename() or text_of(_decoded(part))


def _decoded(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _fields_of_json(body: bytes) -> Iterator[tuple[str, str]]:
    try:
        found = json.loads(text_of(body), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise Unreadable(RefusalReason.TOO_COMPLEX) from error
    except ValueError as error:
        raise Unreadable(RefusalReason.UNREADABLE) from error
    if not isinstance(found, dict):
        raise Unreadable(RefusalReason.NOT_AN_OBJECT)
    yield from _flattened(found, ())


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON.")


def _flattened(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if len(path) > LEVELS_AT_MOST:
        raise Unreadable(RefusalReason.TOO_COMPLEX)
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flattened(each, (*path, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _flattened(each, (*path, str(number)))
    else:
        yield ".".join(path), _written(value)


def _written(value: object) -> str:
    """A value of JSON as a form would have it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _storable(text: str) -> str:
    """The text without what PostgreSQL can't store: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
