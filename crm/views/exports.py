"""Files to take along: CSV that is written while it is sent, however long it gets."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from crm import audit, limits
from crm.models import AuditAction
from crm.spreadsheets import as_text
from crm.views.access import MemberRequest
from postgresql.bounds import LONG_SECONDS, statements_may_take


def export(
    request: MemberRequest, *, what: str, head: Sequence[str], rows: Iterable[Iterable[object]], back_to: str
) -> HttpResponseBase:
    """The rows as a file that is named after `what`; they are read only once the export is on record.

    Back to the page of that name, with the reason, where the company has made too many in this minute (S42).
    """
    company_id = request.membership.company_id
    try:
        limits.check("exports", company_id=company_id, at_most=settings.EXPORTS_PER_MINUTE)
    except limits.TooOften as error:
        messages.error(request, str(error))
        return redirect(back_to)
    audit.record(company=company_id, action=AuditAction.EXPORT, details={"what": what})
    response = StreamingHttpResponse(_lines(head, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{what.replace(" ", "-")}.csv"'
    response["Cache-Control"] = "no-store"
    return response


class _Echo:
    """Gives csv's writer something to write to, and gives each line back."""

    def write(self, line: str) -> str:
        return line


def _lines(head: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    writer: Any = csv.writer(_Echo())
    yield writer.writerow(head)
    # Outside of a transaction PostgreSQL finds all rows of a cursor before it gives the first.
    with statements_may_take(LONG_SECONDS):
        for row in rows:
            yield writer.writerow([as_text(cell) for cell in row])
