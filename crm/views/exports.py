"""CSV exports, streamed so that they can be of any size."""

import csv
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from crm.accounts.decorators import MemberRequest
from crm.models import AuditAction
from crm.services import audit, rate_limits
from postgresql.bounds import LONG_SECONDS, statements_may_take

# While a reader is behind, an export keeps a thread and a cursor (docs/decisions/slow-clients-cost-no-thread.md).
AT_A_TIME: Final = 2  # of a company
EXPORT_SECONDS: Final = 15 * 60


def export(
    request: MemberRequest, *, what: str, head: Sequence[str], rows: Iterable[Iterable[object]], back_to: str
) -> HttpResponseBase:
    """The rows as a CSV file named after `what`. They are read only after the export is in the audit log.

    If the company makes too many exports in this minute or at a time, redirect to `back_to` with the reason. An export
    that lasts longer than EXPORT_SECONDS ends in the middle, and the browser reports it as incomplete.
    """
    company_id = request.membership.company_id
    try:
        rate_limits.check("exports", company_id=company_id, at_most=settings.EXPORTS_PER_MINUTE)
        place = rate_limits.take_place("exports", company_id=company_id, places=AT_A_TIME, seconds=EXPORT_SECONDS)
    except rate_limits.TooOften as error:
        messages.error(request, str(error))
        return redirect(back_to)
    audit.record(company=company_id, action=AuditAction.EXPORT, details={"what": what})
    response = StreamingHttpResponse(_File(_lines(head, rows), place), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{what.replace(" ", "-")}.csv"'
    response["Cache-Control"] = "no-store"
    return response


class ReaderTooSlow(Exception):
    """Ends an export. The web server closes the connection without the end of the file."""


class _File:
    """The lines of an export. `close` also gives its place back if nobody has read a line."""

    def __init__(self, lines: Iterator[str], place: str) -> None:
        self._lines, self._place = lines, place

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def close(self) -> None:
        rate_limits.leave_place(self._place)


class _Echo:
    """A file for csv's writer that returns each line."""

    def write(self, line: str) -> str:
        return line


def _lines(head: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    writer: Any = csv.writer(_Echo())
    end = time.monotonic() + EXPORT_SECONDS
    yield writer.writerow([as_text(cell) for cell in head])
    # Outside a transaction, PostgreSQL computes all rows of a cursor before it returns the first.
    with statements_may_take(LONG_SECONDS):
        for row in rows:
            if time.monotonic() > end:
                raise ReaderTooSlow(f"The export took more than {EXPORT_SECONDS} seconds.")
            yield writer.writerow([as_text(cell) for cell in row])


# A spreadsheet reads a formula where a cell begins with =, +, - or @, full-width ones too, also after what Excel and
# others skip. A cell begins where its reader thinks so: `x;=1+1` is two cells on a computer whose language
# separates with semicolons, and quotes don't hold them together there.
_SKIPPED: Final = r"""[\s\0"'\\\u00a0\u3000]*"""
_MARK: Final = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_FORMULA: Final = re.compile(rf"(\A(?=[\t\r\n\0])|(?:\A|[,;\t|\r\n])(?={_SKIPPED}{_MARK}))")


def as_text(value: object) -> str:
    """The value as the text of a cell. An apostrophe stands before everything that might be read as a formula.

    Source: OWASP, "CSV Injection".
    """
    return _FORMULA.sub(r"\1'", "" if value is None else str(value))
