"""Downloads, streamed so that they can be of any size: CSV of rows, and files that a worker has written."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from crm.accounts.decorators import MemberRequest
from crm.exporting.cells import csv_line
from crm.models import AuditAction, ExportFormat
from crm.selectors.data_exports import CONTENT_TYPES
from crm.services import audit, rate_limits
from postgresql.bounds import LONG_SECONDS, statements_may_take

# While a reader is behind, an export keeps a thread and a cursor (docs/decisions/slow-clients-cost-no-thread.md).
AT_A_TIME: Final = 2  # of a company
EXPORT_SECONDS: Final = 15 * 60

P = TypeVar("P", str, bytes)


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
        place = _take_place(company_id)
    except rate_limits.TooOften as error:
        return _refused(request, error, back_to)
    audit.record(company=company_id, action=AuditAction.EXPORT, details={"what": what})
    return _file(
        _lines(head, rows), place, name=f"{what.replace(' ', '-')}.csv", content_type=CONTENT_TYPES[ExportFormat.CSV]
    )


def download(
    request: MemberRequest, content: Iterator[bytes], *, name: str, content_type: str, size: int | None, back_to: str
) -> HttpResponseBase:
    """The content as a file of `size` bytes, if that is known; with the limits of an export but how often."""
    try:
        place = _take_place(request.membership.company_id)
    except rate_limits.TooOften as error:
        return _refused(request, error, back_to)
    response = _file(_in_time(content), place, name=name, content_type=content_type)
    if size is not None:
        response["Content-Length"] = str(size)
    return response


class ReaderTooSlow(Exception):
    """Ends an export. The web server closes the connection without the end of the file."""


class _File:
    """The pieces of a file. `close` also gives its place back if nobody has read one."""

    def __init__(self, pieces: Iterator[str] | Iterator[bytes], place: str) -> None:
        self._pieces, self._place = pieces, place

    def __iter__(self) -> Iterator[str] | Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        rate_limits.leave_place(self._place)


def _take_place(company_id: int) -> str:
    return rate_limits.take_place("exports", company_id=company_id, places=AT_A_TIME, seconds=EXPORT_SECONDS)


def _refused(request: MemberRequest, error: rate_limits.TooOften, back_to: str) -> HttpResponse:
    messages.error(request, str(error))
    return redirect(back_to)


def _file(
    pieces: Iterator[str] | Iterator[bytes], place: str, *, name: str, content_type: str
) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_File(pieces, place), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _lines(head: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    line = csv_line()
    yield line(head)
    # Outside a transaction, PostgreSQL computes all rows of a cursor before it returns the first.
    with statements_may_take(LONG_SECONDS):
        yield from _in_time(map(line, rows))


def _in_time(pieces: Iterator[P]) -> Iterator[P]:
    end = time.monotonic() + EXPORT_SECONDS
    for piece in pieces:
        if time.monotonic() > end:
            raise ReaderTooSlow(f"The export took more than {EXPORT_SECONDS} seconds.")
        yield piece
