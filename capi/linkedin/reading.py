"""Reading an answer's body, which may be anything."""

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from capi.linkedin.exchange import Answer
from capi.linkedin.masking import mask, shorten

MAX_CODE_LENGTH = 80

# No `<` within a tag: so both are linear in a body of 1 MB.
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Said:
    """LinkedIn's code and words, fit to be stored: masked, one line, at most 80 and 2,000 characters."""

    code: str
    message: str


def said(answer: Answer) -> Said:
    """What LinkedIn said, for the log; both empty where it said nothing but the results of a batch's elements."""
    if "elements" in json_object(answer.body):
        return Said("", "")
    return Said(shorten(mask(code(answer)), MAX_CODE_LENGTH), shorten(mask(message(answer))))


def code(answer: Answer) -> str:
    """LinkedIn's `code`, or its `serviceErrorCode`, as it stands in the body."""
    fields = json_object(answer.body)
    for name in ("code", "serviceErrorCode"):
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    return ""


def message(answer: Answer) -> str:
    """LinkedIn's whole text: the `message` of a JSON body, else the body itself, or what a page (of a gateway) says."""
    text = json_object(answer.body).get("message")
    if isinstance(text, str):
        return text
    body = answer.body.decode("utf-8", errors="replace")
    return _of_page(body) if body.lstrip().startswith("<") else body


def _of_page(page: str) -> str:
    """The title of an HTML page, or without one its text."""
    title = _TITLE.search(page)
    text = title[1] if title and title[1].strip() else _TAG.sub(" ", page)
    return " ".join(unescape(text).split())


def json_object(body: bytes) -> dict[str, Any]:
    """The body's JSON object; empty if the body is anything else, or holds one key twice."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("A key stands twice, so one of its values is lost.")
    return fields
