"""Exports: requesting one of a list or of the whole company, the list of a member's exports, and the download."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)
from django.views.decorators.vary import vary_on_headers

from crm.accounts.decorators import MemberRequest, member, require
from crm.accounts.fresh_password import fresh_password
from crm.data_exchange.exporting import archive
from crm.forms.data_exports import SHOWN, ExportForm
from crm.lists.columns import Column
from crm.lists.definition import List
from crm.lists.filters import ListFilter
from crm.lists.registry import LISTS
from crm.lists.tasks import TASKS
from crm.models import DataExport, ExportFormat
from crm.models.key_selection import keys_of
from crm.models.roles import Action
from crm.selectors import data_exports as selector
from crm.selectors.saved_views import tabs_of
from crm.selectors.tasks import tasks_of
from crm.services import data_exports
from crm.services.rate_limits import TooOften
from crm.views.downloads import download
from crm.views.filtering import (
    SORT,
    VIEW,
    chosen_columns,
    filtered_list,
    filters_in_use,
    list_address,
)

BROKEN = "Nothing was exported: a filter of this list no longer works. Clear it first."


@dataclass(frozen=True)
class FilteredList:
    """A list as its page shows it. `keys` are read only when they are exported. `count` is None if counting is slow."""

    exported: List
    count: int | None
    keys: Iterable[int]
    columns: Sequence[str]
    filters: Sequence[str]
    page: str


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EXPORT_LEADS)
def list_export(request: MemberRequest, key: str) -> HttpResponse:
    """Export the rows that the filters in the URL find."""
    listed = LISTS[key]
    found = filtered_list(request, listed)
    back = list_address(listed.page, request.GET.urlencode())
    if found.broken:
        messages.error(request, BROKEN)
        return redirect(back)
    columns = [column.key for column in _shown_columns(request, found)]
    asked = filters_in_use(request, found.filters)
    keys = listed.keys(found, request.GET.get(SORT, ""))
    return _export_page(
        request, FilteredList(listed, listed.count(found), keys, columns, asked, back)
    )


def _shown_columns(request: MemberRequest, found: ListFilter) -> Sequence[Column]:
    """The columns that the page shows: those that the member or the view has chosen, if the list has views."""
    listed = found.definition
    if not listed.has_views:
        return listed.columns
    view = tabs_of(request.membership, listed, {}, request.GET.get(VIEW, "")).view
    offered = listed.offered(found.company, found.custom_fields)
    return chosen_columns(request, listed, view, offered)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EXPORT_LEADS)
def task_export(request: MemberRequest) -> HttpResponse:
    """Export the member's tasks: the open ones or, with `?done=1`, the others."""
    done = request.GET.get("done") == "1"
    found = tasks_of(request.membership, done=done)
    columns = [column.key for column in TASKS.columns if done or column.key != "done"]
    back = list_address("tasks", request.GET.urlencode())
    count, filters = found.order_by().count(), ["done" if done else "open"]
    return _export_page(
        request, FilteredList(TASKS, count, keys_of(found), columns, filters, back)
    )


def _export_page(request: MemberRequest, rows: FilteredList) -> HttpResponse:
    form = ExportForm(request.POST or None, exported=rows.exported)
    if not form.is_valid():
        return render(
            request, "crm/data_exports/list_form.html", {"form": form, "rows": rows}
        )
    try:
        made = data_exports.export_list(
            author=request.membership,
            kind=rows.exported.key,
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
            return _to_exports(
                data_exports.export_company(membership=request.membership)
            )
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
    made = next(
        (each for each in exports if str(each.pk) == request.GET.get("made", "")), None
    )
    context = {
        "exports": exports,
        "made": made,
        "is_at_work": any(each.is_at_work for each in exports),
    }
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
    data_export = (
        DataExport.objects.open_to(request.membership)
        .kept()
        .select_related("company")
        .filter(pk=pk)
        .first()
    )
    if data_export is None:
        raise Http404
    return data_export
