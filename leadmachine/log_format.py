"""Log lines and error reports that can be trusted and kept: nothing personal, nothing secret."""

import logging
import re
from collections.abc import Iterable
from copy import copy
from types import FrameType, TracebackType
from typing import Any, Final

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from capi.linkedin.parsing import MASK, mask

# --- Log lines that can be trusted and kept: one event, one line, and nothing personal in what libraries say.

INDENT: Final = "    "
# What PostgreSQL adds to an error: the whole row that it refused, whose texts may have lines of their own.
DETAIL: Final = re.compile(r"DETAIL:.*?(?=\n\n(?:The above exception|During handling of)|\Z)", re.DOTALL)
# Who signs in at a service of ours, password included. The host stays: an operator has to know which one is away.
SIGNS_IN: Final = re.compile(r"\b((?:postgres(?:ql)?|rediss?|valkeys?|smtp(?:\+\w+)?|[\w.]+:Transport)://)[^\s/]*@")

_nodes: set[str] = set()  # what the workers in this process are called: celery@host looks like an address

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class SafeFormatter(logging.Formatter):
    """Keeps a message on its line, masks addresses, hashes and tokens, and indents what belongs to an error.

    Nobody can write a line that looks like another event (S35), and a database's "Failing row contains …" tells
    nobody's address (S36).
    """

    def format(self, record: logging.LogRecord) -> str:
        record = copy(record)
        record.exc_text = None  # another handler may have left its own words here
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        message = super().formatMessage(record)
        return sanitise(message, readable=_nodes if "@" in message else ())

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


class InOneLine(logging.Filter):
    """Takes the traceback off what is no fault of ours: a request that was refused (4xx) is a line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            record.exc_info = None
        return True


def sanitise(text: str, *, readable: Iterable[str] = ()) -> str:
    """The text on one line, without the rows that a database quotes, and masked but for these workers' names."""
    text = SIGNS_IN.sub(rf"\1{MASK}@", DETAIL.sub(f"DETAIL: {MASK}", text))
    return mask(text, readable=_spellings(readable))


def keep_readable(node: str) -> None:
    """Leave the name of a worker of this process (`celery@host`) as it is in what is logged from now on."""
    _nodes.add(node)


def _spellings(nodes: Iterable[str]) -> set[str]:
    """The names and the parts of their hosts, which may be as long as a token."""
    return {text for node in nodes for text in (node, *re.split("[@.]", node))}


def _indented(text: str) -> str:
    return "\n".join(INDENT + _line(line) for line in DETAIL.sub(f"DETAIL: {MASK}", text).splitlines())


def _line(line: str) -> str:
    """The line with its own indentation, which tells code from words."""
    return line[: len(line) - len(line.lstrip(" "))] + sanitise(line, readable=_nodes)


# --- What a report of a server error may tell: where and how it happened, and nothing that anybody entered (S26, S36).

URL_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]*@")


class ReportFilter(SafeExceptionReporterFilter):
    """Django's filter, and what it leaves: values of variables, whatever was sent, passwords inside of URLs.

    Values of variables are left out altogether, rather than wherever somebody remembered to mark them as sensitive.
    """

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        return URL_PASSWORD.sub(f"{MASK}@", cleansed) if isinstance(cleansed, str) else cleansed

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        return [] if self.is_active(request) else super().get_traceback_frame_variables(request, tb_frame)

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        if request is None or not self.is_active(request):
            return super().get_post_parameters(request)
        return dict.fromkeys(request.POST, MASK)

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        meta = super().get_safe_request_meta(request)
        return {**meta, **{name: MASK for name in ("QUERY_STRING", "HTTP_REFERER") if meta.get(name)}}


class Report(ExceptionReporter):
    """Django's report without the query string, and with every exception's words masked."""

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
