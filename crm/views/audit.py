"""The audit log of a company, for its admins: to read, and as a file."""

import csv
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from crm import audit, limits
from crm.forms.audit import AuditFilterForm
from crm.models import AuditAction, AuditEntry
from crm.models.audit import AuditEntryQuerySet
from crm.roles import Action
from crm.spreadsheets import as_text
from crm.views.access import MemberRequest, member

ENTRIES_PER_PAGE: Final = 50
ROWS_AT_ONCE: Final = 1_000
HEAD: Final = ("at", "actor_kind", "actor_id", "actor_name", "action", "object_kind", "object_id", "object_label",
               "details")  # fmt: skip


@require_safe
@member(Action.MANAGE_COMPANY)
def audit_log(request: MemberRequest) -> HttpResponse:
    """Who did what, newest first. `?before=` goes on after the entry with that id."""
    form = AuditFilterForm(request.GET, company=request.membership.company)
    entries, before = form.entries(), form.cleaned_data.get("before")
    if before is not None:
        entries = entries.filter(pk__lt=before)
    found = list(entries[: ENTRIES_PER_PAGE + 1])
    shown = found[:ENTRIES_PER_PAGE]
    context = {
        "form": form,
        "entries": shown,
        "older": shown[-1].pk if len(found) > ENTRIES_PER_PAGE else None,
        "is_first_page": before is None,
    }
    return render(request, "crm/audit_log.html", context)


@require_POST
@member(Action.MANAGE_COMPANY)
def audit_export(request: MemberRequest) -> HttpResponseBase:
    """What the page shows, all of it, as CSV. The export is on record itself, and so the first line of the file."""
    try:
        limits.check("exports", company_id=request.membership.company_id, at_most=settings.EXPORTS_PER_MINUTE)
    except limits.TooOften as error:
        messages.error(request, str(error))
        return redirect("audit_log")
    form = AuditFilterForm(request.POST, company=request.membership.company)
    entries = form.entries()
    audit.record(company=request.membership.company_id, action=AuditAction.EXPORT, details={"what": "audit log"})
    response = StreamingHttpResponse(_lines(entries), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="audit-log.csv"'
    response["Cache-Control"] = "no-store"
    return response


class _Echo:
    """Gives csv's writer something to write to, and gives each line back."""

    def write(self, line: str) -> str:
        return line


def _lines(entries: AuditEntryQuerySet) -> Iterator[str]:
    writer: Any = csv.writer(_Echo())
    yield writer.writerow(HEAD)
    for entry in entries.iterator(chunk_size=ROWS_AT_ONCE):
        yield writer.writerow([as_text(cell) for cell in _row(entry)])


def _row(entry: AuditEntry) -> list[object]:
    return [entry.at.isoformat(), *(getattr(entry, name) for name in HEAD[1:-1]), entry.summary]
