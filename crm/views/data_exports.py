"""Exports: requesting one of a list or of the whole company, the list of a member's exports, and the download."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from crm.accounts.decorators import MemberRequest, member, require
from crm.accounts.fresh_password import fresh_password
from crm.data_exchange.exporting import archive
from crm.forms.data_exports import SHOWN, ExportForm
from crm.models import DataExport, ExportFormat, ExportKind, FieldSubject
from crm.models.jobs import keys_of
from crm.models.roles import Action
from crm.selectors import data_exports as selector
from crm.selectors.custom_fields import fields_in_use
from crm.selectors.deal_list import COLUMNS, in_order
from crm.selectors.leads import all_columns, order_of
from crm.selectors.organisations import COLUMNS as ORGANISATION_COLUMNS
from crm.selectors.organisations import oldest_leads
from crm.selectors.saved_views import tabs_of
from crm.selectors.tasks import COLUMNS as TASK_COLUMNS
from crm.selectors.tasks import tasks_of
from crm.services import data_exports
from crm.services.rate_limits import TooOften
from crm.services.searches import recall_search
from crm.views.deals import filtered_deals
from crm.views.downloads import download
from crm.views.filtering import filters_in_use, list_address
from crm.views.leads import chosen_columns, filtered_leads

BROKEN = "Nothing was exported: a filter of this list no longer works. Clear it first."


@dataclass(frozen=True)
class FilteredList:
    """A list as its page shows it. `keys` are read only when they are exported. `count` is None if counting is slow."""

    kind: ExportKind
    count: int | None
    keys: Iterable[int]
    columns: Sequence[str]
    filters: Sequence[str]
    page: str

    @property
    def noun(self) -> str:
        return self.kind.label.lower().removesuffix("s")


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EXPORT_LEADS)
def lead_export(request: MemberRequest) -> HttpResponse:
    """Export the leads that the filters in the URL find."""
    company, sort = request.membership.company, request.GET.get("sort", "")
    fields = fields_in_use(company, FieldSubject.LEAD)
    filtered = filtered_leads(request, fields)
    back = list_address("leads", request.GET.urlencode())
    if filtered.broken:
        messages.error(request, BROKEN)
        return redirect(back)
    view = tabs_of(request.membership, {}, request.GET.get("view", "")).view
    columns = [column.key for column in chosen_columns(request, view, all_columns(company, fields))]
    asked = filters_in_use(request, filtered.filters)
    keys = keys_of(*order_of(sort, company).whole(filtered.qs))
    rows = FilteredList(ExportKind.LEADS, filtered.qs.order_by().count(), keys, columns, asked, back)
    return _export_page(request, rows)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EXPORT_LEADS)
def deal_export(request: MemberRequest) -> HttpResponse:
    """Export the deals that the filters in the URL find."""
    filtered, text, found = filtered_deals(request)
    back = list_address("deal_list", request.GET.urlencode())
    if filtered.form.errors or (request.GET.get("search") and not text):
        messages.error(request, BROKEN)
        return redirect(back)
    keys = keys_of(in_order(found, request.membership.company, request.GET.get("sort", "")))
    columns = [column.key for column in COLUMNS]
    asked = filters_in_use(request, filtered.filters)
    rows = FilteredList(ExportKind.DEALS, found.order_by().count(), keys, columns, asked, back)
    return _export_page(request, rows)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EXPORT_LEADS)
def task_export(request: MemberRequest) -> HttpResponse:
    """Export the member's tasks: the open ones or, with `?done=1`, the others."""
    done = request.GET.get("done") == "1"
    found = tasks_of(request.membership, done=done)
    keys = keys_of(found)
    columns = TASK_COLUMNS if done else TASK_COLUMNS[:-1]
    back = list_address("tasks", request.GET.urlencode())
    rows = FilteredList(ExportKind.TASKS, found.order_by().count(), keys, columns, ["done" if done else "open"], back)
    return _export_page(request, rows)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EXPORT_LEADS)
def organisation_export(request: MemberRequest) -> HttpResponse:
    """Export the organisations that the search in the URL finds."""
    text = recall_search(request.membership, request.GET.get("search", ""))
    back = list_address("organisations", request.GET.urlencode())
    if request.GET.get("search") and not text:
        messages.error(request, BROKEN)
        return redirect(back)
    keys, asked = oldest_leads(request.membership.company, text), filters_in_use(request, ())
    return _export_page(request, FilteredList(ExportKind.ORGANISATIONS, None, keys, ORGANISATION_COLUMNS, asked, back))


def _export_page(request: MemberRequest, rows: FilteredList) -> HttpResponse:
    form = ExportForm(request.POST or None, kind=rows.kind)
    if not form.is_valid():
        return render(request, "crm/data_exports/list_form.html", {"form": form, "rows": rows})
    try:
        made = data_exports.export_list(
            author=request.membership,
            kind=rows.kind,
            file_format=ExportFormat(form.cleaned_data["format"]),
            keys=rows.keys,
            columns=rows.columns if form.cleaned_data["columns"] == SHOWN else (),
            filters=rows.filters,
        )
    except (ValidationError, TooOften) as refusal:
        messages.error(request, _why(refusal))
        return redirect(rows.page)
    try:
        return _to_exports(data_exports.write_if_short(data_export=made))
    except DataExport.DoesNotExist:  # someone has just deleted it
        return redirect("data_exports")


def _why(refusal: ValidationError | TooOften) -> str:
    return str(refusal.message if isinstance(refusal, ValidationError) else refusal)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.MANAGE_COMPANY)
@fresh_password()
def company_export(request: MemberRequest) -> HttpResponse:
    """Export all that the company has."""
    if request.method == "POST":
        try:
            return _to_exports(data_exports.export_company(membership=request.membership))
        except (ValidationError, TooOften) as refusal:
            messages.error(request, _why(refusal))
            return redirect("data_exports")
    return render(request, "crm/data_exports/company.html", {"files": archive.FILES})


def _to_exports(made: DataExport) -> HttpResponse:
    return redirect(f"{reverse('data_exports')}?{urlencode({'made': made.pk})}")


@require_safe
@vary_on_headers("HX-Request")
@member(Action.EXPORT_LEADS)
def overview(request: MemberRequest) -> HttpResponse:
    """The member's exports of the last day, with their progress; for admins, everyone's."""
    exports = selector.exports_of(request.membership)
    made = next((each for each in exports if str(each.pk) == request.GET.get("made", "")), None)
    context = {"exports": exports, "made": made, "is_at_work": any(each.is_at_work for each in exports)}
    template = "_list" if request.htmx else "list"
    return render(request, f"crm/data_exports/{template}.html", context)


@require_safe
@member(Action.EXPORT_LEADS)
def export_download(request: MemberRequest, pk: int) -> HttpResponseBase:
    """The file, once it is complete."""
    data_export = _own(request, pk)
    require(request.membership, data_export.needs)
    if not data_export.is_ready:
        messages.error(request, "This file is not ready, or no longer there.")
        return redirect("data_exports")
    return download(request, data_export, back_to="data_exports")


@require_POST
@member(Action.EXPORT_LEADS)
def export_cancel(request: MemberRequest, pk: int) -> HttpResponse:
    if data_exports.cancel(data_export=_own(request, pk)):
        messages.success(request, "The export was cancelled.")
    return redirect("data_exports")


@require_POST
@member(Action.EXPORT_LEADS)
def export_delete(request: MemberRequest, pk: int) -> HttpResponse:
    data_exports.discard(data_export=_own(request, pk))
    messages.success(request, "The export was deleted.")
    return redirect("data_exports")


def _own(request: MemberRequest, pk: int) -> DataExport:
    data_export = DataExport.objects.open_to(request.membership).kept().select_related("company").filter(pk=pk).first()
    if data_export is None:
        raise Http404
    return data_export
