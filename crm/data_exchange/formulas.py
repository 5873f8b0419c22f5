"""Keeps texts in files from being formulas: an apostrophe on the way out, which is removed on the way in.

A spreadsheet takes a cell for a formula if it begins with =, +, - or @ (or their full-width forms), even after
characters that Excel and others skip. The reader decides where a cell begins: `x;=1+1` is two cells on a computer whose
locale separates with semicolons, and quotes don't hold them together there. So each place after a separator gets an
apostrophe. Source: OWASP, "CSV Injection".
"""

import re
from typing import Final

_SKIPPED: Final = r"""[\s\0"'\\\u00a0\u3000]"""
_MARK: Final = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
# The beginning of a cell with all that is skipped, in one go: the time stays in proportion to the length of the text.
_BEGINNING: Final = re.compile(rf"(\A|[,;\t|\r\n])({_SKIPPED}*)({_MARK})?")
_SEPARATOR_SKIPPED: Final = re.compile(r"([\t\r\n])")
_APOSTROPHE: Final = re.compile(r"(\A|[\t\r\n])'")
# What some readers skip at the beginning of a cell, whatever follows.
_BLANK: Final = re.compile(r"'*[\t\r\n\0]")


def guarded(text: str) -> str:
    """The text with an apostrophe before anything that might be read as a formula.

    A phone number that begins with + gets one too: without it, a spreadsheet turns the number into another one.
    """
    return _BEGINNING.sub(_guard, text)


def _guard(beginning: re.Match[str]) -> str:
    before, skipped, mark = beginning.groups("")
    if mark:
        skipped = _SEPARATOR_SKIPPED.sub(r"\1'", skipped)
    elif before or not _BLANK.match(skipped):
        return beginning[0]
    return f"{before}'{skipped}{mark}"


def unguarded(text: str) -> str:
    """The text that `guarded` was called with.

    Other programs write such apostrophes, too. One that someone typed between a separator and a formula's mark is lost.
    """
    return _BEGINNING.sub(_unguard, text) if "'" in text else text


def _unguard(beginning: re.Match[str]) -> str:
    before, skipped, mark = beginning.groups("")
    if mark:
        skipped = _APOSTROPHE.sub(r"\1", skipped)
    elif not before and _BLANK.match(skipped):
        skipped = skipped.removeprefix("'")
    return f"{before}{skipped}{mark}"


def kept_by_import(text: str) -> str:
    """The text for a cell that needs no guard, as a spreadsheet's: it gets one if an import would change it."""
    return text if unguarded(text) == text else guarded(text)
