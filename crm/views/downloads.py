"""Downloads from pages: CSV of rows, and files that a worker has written."""

from collections.abc import Generator, Iterable, Sequence

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from crm.accounts.decorators import MemberRequest
from crm.data_exchange.exporting.cells import csv_line
from crm.models import AuditAction, DataExport, ExportFormat
from crm.selectors.data_exports import CONTENT_TYPES, download_of
from crm.selectors.streaming import in_time, streamed, take_slot
from crm.services import audit, rate_limits
from crm.services.data_exports import check_rate
from postgresql.bounds import LONG_SECONDS, statements_may_take


def export(
    request: MemberRequest,
    *,
    what: str,
    head: Sequence[str],
    rows: Iterable[Iterable[object]],
    back_to: str,
) -> HttpResponseBase:
    """The rows as a CSV file named after `what`. They are read only after the export is in the audit log.

    If the company makes too many exports per minute or at once, redirect to `back_to` with the reason. An export that
    takes longer than EXPORT_SECONDS breaks off, and the browser reports it as incomplete.
    """
    company_id = request.membership.company_id
    try:
        check_rate(company_id)
        slot = take_slot(company_id)
    except rate_limits.TooOften as error:
        return _refused(request, error, back_to)
    audit.record(company=company_id, action=AuditAction.EXPORT, details={"what": what})
    return streamed(
        _lines(head, rows),
        slot,
        name=f"{what.replace(' ', '-')}.csv",
        content_type=CONTENT_TYPES[ExportFormat.CSV],
    )


def download(
    request: MemberRequest, data_export: DataExport, *, back_to: str
) -> HttpResponseBase:
    """The file that a worker has written. The limits of `export` apply, except the number per minute."""
    try:
        return download_of(data_export)
    except rate_limits.TooOften as error:
        return _refused(request, error, back_to)


def _refused(
    request: MemberRequest, error: rate_limits.TooOften, back_to: str
) -> HttpResponse:
    messages.error(request, str(error))
    return redirect(back_to)


def _lines(
    head: Sequence[str], rows: Iterable[Iterable[object]]
) -> Generator[str, None, None]:
    line = csv_line()
    # Outside a transaction, PostgreSQL computes all rows of a cursor before it returns the first.
    with statements_may_take(LONG_SECONDS):
        lines = in_time(map(line, rows))
        first = next(lines, "")  # if the query fails, nothing has been sent yet
        yield line(head) + first
        yield from lines
