"""Reads answers: whether they are LinkedIn's, their text, which is masked, the elements that a refusal names, and
Retry-After.
"""

import json
import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any

from capi.linkedin.decisions import Answer

MAX_CODE_LENGTH = 80

# No `<` within a tag, so that both are linear in a body of 1 MB.
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class ApiMessage:
    """LinkedIn's code and message, ready to store: masked, on one line, at most 80 and 2,000 characters."""

    code: str
    message: str


def api_message(answer: Answer) -> ApiMessage:
    """LinkedIn's code and message for the log; both empty if the answer only has the results of a batch's elements."""
    if not answer.body or "elements" in json_object(answer.body):
        return ApiMessage("", "")
    return ApiMessage(
        shorten(mask(code(answer)), MAX_CODE_LENGTH), shorten(mask(message(answer)))
    )


# An error of Spring, which many gateways are made of, has a status and a message, too.
_NOT_LINKEDINS = {"error", "path", "timestamp"}


def is_linkedins_error(answer: Answer) -> bool:
    """True if the answer is an error as LinkedIn writes it: JSON with its own status, and a message or a code.

    Whatever is between us and LinkedIn writes its errors differently: a page, nothing, or JSON such as
    `{"message": "Forbidden"}`.
    """
    fields = json_object(answer.body)
    status = fields.get("status")
    has_reason = isinstance(fields.get("message"), str) or code(answer) != ""
    is_its_status = type(status) is int and status == answer.status
    return (
        claims_json(answer)
        and is_its_status
        and has_reason
        and not fields.keys() & _NOT_LINKEDINS
    )


def claims_json(answer: Answer) -> bool:
    """True unless the answer's Content-Type says that its body is not JSON."""
    media_type = (
        answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    )
    return media_type == "" or "json" in media_type


def code(answer: Answer) -> str:
    """The body's `code`, or else its `serviceErrorCode`; "" if it has neither."""
    fields = json_object(answer.body)
    for name in ("code", "serviceErrorCode"):
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    return ""


def message(answer: Answer) -> str:
    """LinkedIn's whole text: the `message` of a JSON body, the text of a (gateway's) page, or else the body itself."""
    text = json_object(answer.body).get("message")
    if isinstance(text, str):
        return text
    body = answer.body.decode("utf-8", errors="replace")
    return _page_text(body) if body.lstrip().startswith("<") else body


def _page_text(page: str) -> str:
    """The title of an HTML page, or its text if it has no title."""
    title = _TITLE.search(page)
    text = title[1] if title and title[1].strip() else _TAG.sub(" ", page)
    return " ".join(unescape(text).split())


def json_object(body: bytes) -> dict[str, Any]:
    """The body's JSON object; empty if the body is anything else, or has one key twice."""
    return parsed_object(body) or {}


def parsed_object(body: bytes) -> dict[str, Any] | None:
    """As `json_object`, but None if the body is anything else."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("A key occurs twice, so one of its values is lost.")
    return fields


# --- Masking: LinkedIn's text is stored and shown, and may echo what was sent.

MASK = "•••"
MAX_MESSAGE_LENGTH = 2000

# Control characters, those that reverse or hide text, and lone surrogates, which no database stores.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+"
)
_BEARER = re.compile(r"\bBearer\s+\S+", re.IGNORECASE)
# The possessive quantifiers and the lookbehind keep both linear in a text of 1 MB.
_EMAIL = re.compile(r"(?<![\w.+!#$&'*?^`{|}~-])[\w.+!#$&'*?^`{|}~-]++(?:@|%40)[\w.-]++")
# Tokens and hashes. A digit distinguishes them from a name such as INVALID_USER_IDENTIFICATION_FIELD_VALUE.
_TOKEN = re.compile(r"(?<![\w-])(?=[A-Za-z_-]*+[0-9])[\w-]{41,}+")


def mask(text: str, *, readable: Container[str] = ()) -> str:
    """The text on one line, with `•••` for anything like an e-mail address, a hash or a token. Not shortened.

    `readable`: names that look like one of these but aren't, and stay.
    """
    text = printable(text)
    text = _BEARER.sub(f"Bearer {MASK}", text)
    if "@" in text or "%40" in text:
        text = _EMAIL.sub(_unless(readable), text)
    return _TOKEN.sub(_unless(readable), text)


def _unless(readable: Container[str]) -> Callable[[re.Match[str]], str]:
    def masked(found: re.Match[str]) -> str:
        return found[0] if found[0].rstrip(".") in readable else MASK

    return masked


def printable(text: str) -> str:
    """The text on one line, without control characters or characters that reverse or hide text."""
    return _UNPRINTABLE.sub(" ", text).strip()


def shorten(text: str, length: int = MAX_MESSAGE_LENGTH) -> str:
    """The text cut to `length` characters. Only for storing: a decision needs the whole text."""
    return text if len(text) <= length else text[: length - 1] + "…"


# --- Which elements a refusal names, and whether it is about the rule.

# "Conversion's method should be CONVERSIONS_API", and a disabled rule "counts as deleted and must be enabled".
_ABOUT_RULE = re.compile(
    r"\bCONVERSIONS_API\b|\b(?:conversion|rule)\b[^.]{0,120}\b(?:disabled|deleted|archived|enabled)\b",
    re.IGNORECASE,
)
# "Conversion time should be within 90 days and not exceed current time".
_ABOUT_TIME = re.compile(r"\bcurrent time\b|\bin the future\b", re.IGNORECASE)
_INDICES = re.compile(r"\bindices\s{0,9}\[([0-9, ]*+)\](?: \(0-indexed\))?")
_INDEX = re.compile(r"\bIndex:\s{0,9}([0-9]{1,6})(?![0-9])[\s,]{0,9}")
_BATCH_INDEX = re.compile(r"\bbatchIndex\s{0,9}=\s{0,9}([0-9]{1,6})(?![0-9])")
# What differs between two elements with the same problem: quoted and masked text, and numbers.
_PARTICULARS = re.compile(r'"[^"]*"|(?<!\w)\'[^\']*\'|[0-9][0-9.,]*|•••')


def is_about_rule(text: str) -> bool:
    """True if the text is about the conversion rule's method or state, not about a person's data."""
    return _ABOUT_RULE.search(text) is not None


def is_about_time(text: str) -> bool:
    """True if the text says that an event is in LinkedIn's future (or too old: LinkedIn has one message for both)."""
    return _ABOUT_TIME.search(text) is not None


def named_elements(text: str, *, count: int) -> dict[int, str]:
    """The reasons for the elements that a refusal names, by index. Indexes out of range are left out.

    `indices [0, 3] (0-indexed)` and `Index: 0, ERROR :: …` were recorded, `batchIndex=0` is documented.
    """
    reasons: dict[int, list[str]] = {}
    for find in (_by_indices, _by_index, _by_batch_index):
        for index, reason in find(text):
            if index < count:
                reasons.setdefault(index, []).append(reason)
    return {index: " ".join(parts) for index, parts in sorted(reasons.items())}


def is_one_reason(reasons: Collection[str]) -> bool:
    """True if two or more elements are refused in the same words, apart from numbers and quoted values.

    Never if the reason is a time: LinkedIn refuses a whole batch of fresh events for that if its clock is behind ours.
    """
    if len(reasons) < 2 or any(map(is_about_time, reasons)):
        return False
    return len({_PARTICULARS.sub("", reason) for reason in reasons}) == 1


def _by_indices(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for found in _INDICES.finditer(text):
        reason = text[start : found.start()].strip(" .,;")
        start = found.end()
        for number in found[1].split(","):
            if 0 < len(number.strip()) <= 6 and number.strip().isdecimal():
                yield int(number), reason


def _by_index(text: str) -> Iterator[tuple[int, str]]:
    _, *parts = _INDEX.split(text)
    for number, reason in zip(parts[::2], parts[1::2], strict=True):
        yield int(number), reason.strip()


def _by_batch_index(text: str) -> Iterator[tuple[int, str]]:
    if "batchIndex" in text:
        for part in re.split(r"[{}]", text):
            for found in _BATCH_INDEX.finditer(part):
                yield int(found[1]), part.strip()


# --- Retry-After.

_IS_SECONDS = re.compile(r"[0-9]{1,10}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of `Retry-After`, which may be a number or an HTTP date; None without a valid one.

    A date is compared with the answer's own `Date`, so it doesn't matter if our clock is wrong. LinkedIn documents no
    Retry-After at all. There is no upper limit here: the caller has one.
    """
    value = headers.get("retry-after", "").strip()
    if _IS_SECONDS.fullmatch(value):
        return float(value)
    until = _moment(value)
    if until is None:
        return None
    seconds = (
        until - (_moment(headers.get("date", "")) or datetime.now(UTC))
    ).total_seconds()
    return seconds if seconds >= 0 else None


def _moment(http_date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
