"""The audit log of a company, for its admins: the page and the CSV export."""

from typing import Final

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from crm.accounts.decorators import MemberRequest, member
from crm.forms.audit import AuditFilterForm
from crm.models import AuditEntry
from crm.models.roles import Action
from crm.views.downloads import export
from crm.views.filtering import filter_bar, to_filtered

ENTRIES_PER_PAGE: Final = 50
CHUNK_SIZE: Final = 1_000
COLUMNS: Final = (
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "action",
    "object_kind",
    "object_id",
    "object_label",
    "details",
)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.MANAGE_COMPANY)
def audit_log(request: MemberRequest) -> HttpResponse:
    """The entries, newest first, filtered by the URL. `?before=` continues after the entry with that id.

    The filter form is posted here and redirects to such a URL.
    """
    if request.method == "POST":
        return to_filtered(request, AuditFilterForm.FILTERS)
    form = AuditFilterForm(request.GET, company=request.membership.company)
    entries, before = form.entries(), form.cleaned_data.get("before")
    if before is not None:
        entries = entries.filter(pk__lt=before)
    newest = list(entries[: ENTRIES_PER_PAGE + 1])
    page = newest[:ENTRIES_PER_PAGE]
    context = {
        **filter_bar(form, unfolding=("since", "until")),
        "is_narrowed": bool(form.asked),
        "entries": page,
        "older": page[-1].pk if len(newest) > ENTRIES_PER_PAGE else None,
        "is_first_page": before is None,
    }
    return render(request, "crm/audit/list.html", context)


@require_POST
@member(Action.MANAGE_COMPANY)
def audit_export(request: MemberRequest) -> HttpResponseBase:
    """All matching entries as CSV. The export is recorded first, so it is the first entry in the file."""
    form = AuditFilterForm(request.POST, company=request.membership.company)
    entries = form.entries().iterator(chunk_size=CHUNK_SIZE)
    return export(
        request,
        what="audit log",
        head=COLUMNS,
        rows=map(_row, entries),
        back_to="audit_log",
    )


def _row(entry: AuditEntry) -> list[object]:
    return [
        entry.at.isoformat(),
        *(getattr(entry, name) for name in COLUMNS[1:-1]),
        entry.summary,
    ]
