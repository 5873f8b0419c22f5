"""The audit log of a company, for its admins: to read, and as a file."""

from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, member
from crm.forms.audit import AuditFilterForm
from crm.models import AuditEntry
from crm.models.roles import Action
from crm.views.exports import export

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
    return render(request, "crm/audit/list.html", context)


@require_POST
@member(Action.MANAGE_COMPANY)
def audit_export(request: MemberRequest) -> HttpResponseBase:
    """What the page shows, all of it, as CSV. The export is on record itself, and so the first line of the file."""
    form = AuditFilterForm(request.POST, company=request.membership.company)
    entries = form.entries().iterator(chunk_size=ROWS_AT_ONCE)
    return export(request, what="audit log", head=HEAD, rows=map(_row, entries), back_to="audit_log")


def _row(entry: AuditEntry) -> list[object]:
    return [entry.at.isoformat(), *(getattr(entry, name) for name in HEAD[1:-1]), entry.summary]
