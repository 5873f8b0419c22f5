"""CSV exports, streamed so that they can be of any size."""

import csv
import re
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


def export(
    request: MemberRequest, *, what: str, head: Sequence[str], rows: Iterable[Iterable[object]], back_to: str
) -> HttpResponseBase:
    """The rows as a CSV file named after `what`. They are read only after the export is in the audit log.

    If the company has made too many exports in this minute, redirect to `back_to` with the reason.
    """
    company_id = request.membership.company_id
    try:
        rate_limits.check("exports", company_id=company_id, at_most=settings.EXPORTS_PER_MINUTE)
    except rate_limits.TooOften as error:
        messages.error(request, str(error))
        return redirect(back_to)
    audit.record(company=company_id, action=AuditAction.EXPORT, details={"what": what})
    response = StreamingHttpResponse(_lines(head, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{what.replace(" ", "-")}.csv"'
    response["Cache-Control"] = "no-store"
    return response


class _Echo:
    """A file for csv's writer that returns each line."""

    def write(self, line: str) -> str:
        return line


def _lines(head: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    writer: Any = csv.writer(_Echo())
    yield writer.writerow(head)
    # Outside a transaction, PostgreSQL computes all rows of a cursor before it returns the first.
    with statements_may_take(LONG_SECONDS):
        for row in rows:
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
