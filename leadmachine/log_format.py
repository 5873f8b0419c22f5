"""Log lines and error reports without personal data or secrets, one line per event."""

import json
import logging
import re
from collections.abc import Iterable
from copy import copy
from datetime import datetime
from types import FrameType, TracebackType
from typing import Any, ClassVar, Final, TypeGuard

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from capi.linkedin.parsing import MASK, mask
from leadmachine import request_ids

# Log lines

INDENT: Final = "    "
# PostgreSQL adds to an error the whole rejected row, and the beginning of the row that a COPY was processing. Their
# texts may contain line breaks.
DETAIL: Final = re.compile(
    r"(?:DETAIL|CONTEXT):.*?(?=\n\n(?:The above exception|During handling of)|\Z)",
    re.DOTALL,
)
# User and password in the URL of a service. The host stays: an operator needs to know which one is down.
CREDENTIALS: Final = re.compile(
    r"\b((?:postgres(?:ql)?|rediss?|valkeys?|smtp(?:\+\w+)?|[\w.]+:Transport)://)[^\s/]*@"
)

# What a call may add to its line with `extra`, for JSON alone: keys of rows, or lists of them.
KEYS: Final = ("company_id", "rule_id", "attempt_id", "event_ids", "job_id")

# Names of the workers in this process: celery@host looks like an e-mail address.
_nodes: set[str] = set()

ExceptionInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None]
    | tuple[None, None, None]
)


class SafeFormatter(logging.Formatter):
    """Keeps a message on one line, masks addresses, hashes and tokens, and indents tracebacks.

    So no input can forge a log line, and the database's "Failing row contains …" leaks no address.
    """

    between_date_and_time: ClassVar[str] = " "

    def format(self, record: logging.LogRecord) -> str:
        record = copy(record)
        record.exc_text = None  # another handler may have cached its own text here
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The time with its UTC offset, so that lines of machines in several time zones can be put in order."""
        return (
            datetime.fromtimestamp(record.created)
            .astimezone()
            .isoformat(sep=self.between_date_and_time, timespec="milliseconds")
        )

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        line = _readable(super().formatMessage(record))
        number = request_ids.current()
        return f"{line} [request {number}]" if number else line

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


class JsonFormatter(SafeFormatter):
    """Writes each event as one JSON object, masked like a line of text, with the keys of the rows that it is about.

    The level, the logger and the message follow each other: `crm.models.privacy_log` reads its lines by that.
    """

    between_date_and_time = "T"

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _readable(record.getMessage()),
        }
        if number := request_ids.current():
            fields["request_id"] = number
        fields |= _keys(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return json.dumps(fields, ensure_ascii=False)


class InOneLine(logging.Filter):
    """Removes the traceback below ERROR: a rejected request (4xx) is one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            record.exc_info = None
        return True


def sanitise(text: str, *, readable: Iterable[str] = ()) -> str:
    """Return the text on one line, without the rows that a database quotes, and masked except for `readable` names."""
    text = CREDENTIALS.sub(rf"\1{MASK}@", DETAIL.sub(f"DETAIL: {MASK}", text))
    return mask(text, readable=_spellings(readable))


def keep_readable(node: str) -> None:
    """Don't mask this name of a worker (`celery@host`) in the log of this process."""
    _nodes.add(node)


def _readable(message: str) -> str:
    """Return the message, sanitised except for the names of this process's workers."""
    return sanitise(message, readable=_nodes if "@" in message else ())


def _keys(record: logging.LogRecord) -> dict[str, int | list[int]]:
    """Return the keys of rows that the call added to the record. Leaves out anything that is no number."""
    found: dict[str, int | list[int]] = {}
    for name in KEYS:
        value = getattr(record, name, None)
        if _is_key(value):
            found[name] = value
    return found


def _is_key(value: object) -> TypeGuard[int | list[int]]:
    if isinstance(value, list):
        return all(type(one) is int for one in value)
    return type(value) is int


def _spellings(nodes: Iterable[str]) -> set[str]:
    """Return the names and the parts of their hosts, which may be as long as a token."""
    return {text for node in nodes for text in (node, *re.split("[@.]", node))}


def _indented(text: str) -> str:
    return "\n".join(
        INDENT + _line(line)
        for line in DETAIL.sub(f"DETAIL: {MASK}", text).splitlines()
    )


def _line(line: str) -> str:
    """Return the sanitised line with its indentation, which tracebacks need to be readable."""
    return line[: len(line) - len(line.lstrip(" "))] + sanitise(line, readable=_nodes)


# Error reports: where and how an error happened, without any user input

URL_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]*@")


class ReportFilter(SafeExceptionReporterFilter):
    """Django's filter, extended to values of variables, request data, and passwords inside URLs.

    It removes the values of all variables, not only of those that someone remembered to mark as sensitive.
    """

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            return URL_PASSWORD.sub(f"{MASK}@", cleansed)
        return cleansed

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> Any:
        if self.is_active(request):
            return []
        return super().get_traceback_frame_variables(request, tb_frame)

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        if request is None or not self.is_active(request):
            return super().get_post_parameters(request)
        return dict.fromkeys(request.POST, MASK)

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        meta = super().get_safe_request_meta(request)
        return {
            **meta,
            **{
                name: MASK
                for name in ("QUERY_STRING", "HTTP_REFERER")
                if meta.get(name)
            },
        }


class MaskedReport(ExceptionReporter):
    """Django's report without the query string, and with every exception's message masked."""

    def get_traceback_data(self) -> dict[str, Any]:
        data: dict[str, Any] = super().get_traceback_data()
        if not self.filter.is_active(self.request):
            return data
        if self.request is not None:
            data["request_GET_items"] = [(name, MASK) for name in self.request.GET]
            data["request_insecure_uri"] = self.request.path
        for name in ("exception_value", "exception_notes", "user_str"):
            data[name] = sanitise(str(data.get(name) or ""))
        data["unicode_hint"] = ""
        return data

    def get_traceback_frames(self) -> list[dict[str, Any]]:
        frames = super().get_traceback_frames()
        if self.filter.is_active(self.request):
            for frame in frames:
                frame["exc_cause"] = sanitise(str(frame["exc_cause"] or ""))
        return frames
