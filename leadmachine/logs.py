"""Log lines that can be trusted and kept: one event, one line, and nothing personal in what libraries say."""

import logging
import re
from collections.abc import Iterable
from copy import copy
from types import TracebackType
from typing import Final

from capi.linkedin.masking import MASK, mask

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
        return told(message, readable=_nodes if "@" in message else ())

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


def told(text: str, *, readable: Iterable[str] = ()) -> str:
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
    return line[: len(line) - len(line.lstrip(" "))] + told(line, readable=_nodes)
