"""Reads the fields of a body: JSON or a form. Nothing in it is trusted, so each size and depth has a limit."""

import base64
import json
import quopri
import re
from collections.abc import Iterator
from typing import Any, Final, Never
from urllib.parse import parse_qsl

from crm.models.intake import RefusalReason

FIELDS_AT_MOST: Final = 500
LEVELS_AT_MOST: Final = 10
PATH_AT_MOST: Final = 200  # characters: each path repeats the names above it
HEAD_AT_MOST: Final = 2_000  # bytes of a part's header
JSON: Final = ("application/json", "text/json")
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]{1,70})', re.IGNORECASE)
_NAME: Final = re.compile(rb'[;\s]name=(?:"([^"\r\n]*)"|([^\s;"]+))', re.IGNORECASE)
_FILE: Final = re.compile(rb'[;\s]filename=(?:"([^"\r\n]*)"|([^\s;"]+))', re.IGNORECASE)
_ENCODING: Final = re.compile(
    rb"content-transfer-encoding:\s*(base64|quoted-printable)", re.IGNORECASE
)


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
        if number >= FIELDS_AT_MOST or len(path) > PATH_AT_MOST:
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


def name_of(path: str) -> str:
    """The last name of a path: `email` of `contact.email`."""
    return path.rpartition(".")[2]


def kind_of(content_type: str) -> str:
    """The media type, without its parameters: those may be anything."""
    return content_type.partition(";")[0].strip().lower()


def _each_field(body: bytes, content_type: str) -> Iterator[tuple[str, str]]:
    kind = kind_of(content_type)
    if kind == MULTIPART:
        return _fields_of_parts(body, content_type)
    # Programs such as curl call JSON a form unless they are asked not to.
    if kind in JSON or kind.endswith("+json") or body.lstrip()[:1] == b"{":
        return _fields_of_json(body)
    if kind == FORM:
        return _fields_of_form(body)
    raise Unreadable(RefusalReason.UNREADABLE)


def _fields_of_form(body: bytes) -> Iterator[tuple[str, str]]:
    text = text_of(body)
    # Counted before it is split: 192 kB of separators are 200,000 fields.
    if text.count("&") >= FIELDS_AT_MOST:
        raise Unreadable(RefusalReason.TOO_COMPLEX)
    yield from parse_qsl(text, keep_blank_values=True, errors="replace")


def _fields_of_parts(body: bytes, content_type: str) -> Iterator[tuple[str, str]]:
    """The fields of multipart/form-data (RFC 7578). Python's parser of mails takes 26 s for some 256 kB."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise Unreadable(RefusalReason.UNREADABLE)
    line = b"\r\n--" + boundary[1].encode("latin-1", "replace")
    parts = (b"\r\n" + body).split(line, FIELDS_AT_MOST + 2)
    if len(parts) > FIELDS_AT_MOST + 2:
        raise Unreadable(RefusalReason.TOO_COMPLEX)
    for part in parts[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _parameter(_NAME, head)
        if name is None:
            continue
        file = _parameter(_FILE, head)
        yield name, text_of(_decoded(head, content)) if file is None else file


def _parameter(pattern: re.Pattern[bytes], head: bytes) -> str | None:
    found = pattern.search(head[:HEAD_AT_MOST])
    return found and text_of(found[1] or found[2] or b"")


def _decoded(head: bytes, content: bytes) -> bytes:
    encoding = _ENCODING.search(head[:HEAD_AT_MOST])
    if encoding is None:
        return content
    if encoding[1].lower() == b"base64":
        return _from_base64(content)
    return quopri.decodestring(content)


def _from_base64(content: bytes) -> bytes:
    try:
        return base64.b64decode(content)
    except ValueError:
        return content


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
