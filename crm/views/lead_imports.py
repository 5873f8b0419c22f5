"""Imports: the upload, the check, the run and its report."""

from typing import Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)
from django.views.decorators.vary import vary_on_headers

from crm.accounts.bodies import takes_import
from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.data_exchange.importing.columns import REASON
from crm.data_exchange.importing.objects.registry import object_of
from crm.data_exchange.importing.text_formats import TextFormat
from crm.forms.lead_imports import (
    FileFormatForm,
    StartForm,
    SubjectForm,
    UploadForm,
)
from crm.models import LeadImport
from crm.models.roles import Action
from crm.selectors import lead_imports as selector
from crm.selectors.import_cells import (
    HEAD,
    all_problem_cells,
    cell_totals,
    rows_with_problems,
)
from crm.selectors.import_cells import problem_cells as cells_of
from crm.services import lead_imports
from crm.services.rate_limits import TooOften
from crm.views.downloads import export
from crm.views.import_checks import CheckPage

PER_PAGE: Final = 25


@takes_import
@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.IMPORT_LEADS)
def overview(request: MemberRequest) -> HttpResponse:
    """Upload a file, and the imports so far."""
    form = (
        UploadForm(request.POST, request.FILES)
        if request.method == "POST"
        else UploadForm()
    )
    if form.is_valid():
        try:
            file = form.cleaned_data["file"]
            return redirect(
                lead_imports.upload(
                    company=request.membership.company, file=file, actor=request.user
                )
            )
        except (ValidationError, TooOften) as error:
            form.add_error(
                "file", error if isinstance(error, ValidationError) else str(error)
            )
    own = LeadImport.objects.for_company(request.membership.company).select_related(
        "made_by", "api_key"
    )
    page = Paginator(own, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "crm/lead_imports/list.html", {"form": form, "page": page})


@require_safe
@vary_on_headers("HX-Request")
@member(Action.IMPORT_LEADS)
def detail(request: MemberRequest, pk: int) -> HttpResponse:
    """The check of an import before it is started, then its progress and its report."""
    lead_import = _own(request, pk)
    if lead_import.is_checked:
        return CheckPage(request, lead_import).response()
    template = "_progress" if request.htmx and lead_import.is_at_work else "progress"
    imported = object_of(lead_import)
    context = {
        "lead_import": lead_import,
        "imported": imported,
        "totals": selector.totals(lead_import.done, noun=imported.noun),
        "undone": selector.undone(lead_import) if lead_import.was_undone else None,
        "has_rows": selector.has_rows(lead_import),
        "cells": cell_totals(lead_import, lead_import.done),
    }
    return render(request, f"crm/lead_imports/{template}.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
@member(Action.IMPORT_LEADS)
def file_format(request: MemberRequest, pk: int) -> HttpResponse:
    """How the text file is read, with a preview of what is chosen."""
    lead_import = _own(request, pk)
    current = TextFormat.of(lead_import.file_format)
    if (
        not lead_import.is_at_check
        or current is None
        or not selector.has_file(lead_import)
    ):
        return redirect(lead_import)
    asked = request.POST or request.GET
    form = FileFormatForm(asked if "encoding" in asked else None, current=current)
    chosen = form.chosen if form.is_valid() else current
    if request.method == "POST" and form.is_valid():
        lead_imports.read_again(lead_import=lead_import, chosen=chosen)
        return redirect(lead_import)
    template = "_file_preview" if request.htmx else "format"
    context = {
        "lead_import": lead_import,
        "form": form,
        "file": selector.file_preview(lead_import, chosen),
    }
    return render(request, f"crm/lead_imports/{template}.html", context)


@require_POST
@member(Action.IMPORT_LEADS)
def choose_subject(request: MemberRequest, pk: int) -> HttpResponse:
    """Say what the file holds, and check its rows again."""
    lead_import = _own(request, pk)
    form = SubjectForm(request.POST)
    if form.is_valid():
        lead_imports.choose_subject(
            lead_import=lead_import, subject=form.cleaned_data["subject"]
        )
    return redirect(lead_import)


@require_POST
@member(Action.IMPORT_LEADS)
def map_columns(request: MemberRequest, pk: int) -> HttpResponse:
    """Save what each column is, and check the rows again."""
    lead_import = _own(request, pk)
    if not lead_import.is_at_check:
        return redirect(lead_import)
    page = CheckPage(request, lead_import, request.POST)
    if not page.is_valid():
        return page.response()
    try:
        lead_imports.map_columns(
            lead_import=lead_import,
            columns=page.columns.columns(),
            readings=page.columns.readings(page.values),
            seen=request.POST.get("seen", ""),
        )
    except ValidationError as error:
        messages.error(request, error.message)
    except LeadImport.DoesNotExist:  # someone has just deleted it
        raise Http404 from None
    return redirect(lead_import)


@require_POST
@member(Action.IMPORT_LEADS)
def start(request: MemberRequest, pk: int) -> HttpResponse:
    lead_import = _own(request, pk)
    form = StartForm(
        request.POST,
        lead_import=lead_import,
        conversions=selector.conversions(lead_import),
    )
    if not form.is_valid():
        return CheckPage(request, lead_import).response(form)
    try:
        lead_imports.start(
            lead_import=lead_import,
            owner=form.cleaned_data["owner"],
            tells_platforms=form.tells_platforms,
            actor=request.user,
        )
    except ValidationError as error:
        messages.error(request, error.message)
    return redirect(lead_import)


@require_POST
@member(Action.IMPORT_LEADS)
def cancel(request: MemberRequest, pk: int) -> HttpResponse:
    lead_import = _own(request, pk)
    if lead_imports.cancel(lead_import=lead_import, actor=request.user):
        messages.success(
            request,
            "Cancelled. What was imported so far is kept; you can undo the import.",
        )
    return redirect(lead_import)


@require_POST
@member(Action.IMPORT_LEADS)
def undo(request: MemberRequest, pk: int) -> HttpResponse:
    lead_import = _own(request, pk)
    try:
        lead_imports.undo(lead_import=lead_import, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.message)
    return redirect(lead_import)


@require_POST
@member(Action.IMPORT_LEADS)
def discard(request: MemberRequest, pk: int) -> HttpResponse:
    """Delete an upload that was not started."""
    if lead_imports.discard(lead_import=_own(request, pk)):
        messages.success(request, "The file was deleted. Nothing was imported.")
    return redirect("lead_imports")


@require_POST
@member(Action.IMPORT_LEADS)
def download_bad_rows(request: MemberRequest, pk: int) -> HttpResponseBase:
    """The bad rows with a column for the reason, to be corrected and imported again."""
    lead_import = _own(request, pk)
    head = [*lead_import.header, REASON]
    what = f"bad rows of import {lead_import.pk}"
    return export(
        request,
        what=what,
        head=head,
        rows=selector.bad_rows(lead_import),
        back_to=lead_import.get_absolute_url(),
    )


@require_safe
@member(Action.IMPORT_LEADS)
def problem_cells(request: MemberRequest, pk: int) -> HttpResponse:
    """The cells that are left out, and those that are stored but doubtful."""
    lead_import = _own(request, pk)
    page = Paginator(rows_with_problems(lead_import), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "lead_import": lead_import,
        "page": page,
        "cells": cells_of(lead_import, page.object_list),
    }
    return render(request, "crm/lead_imports/cells.html", context)


@require_POST
@member(Action.IMPORT_LEADS)
def download_problem_cells(request: MemberRequest, pk: int) -> HttpResponseBase:
    lead_import = _own(request, pk)
    what = f"cells of import {lead_import.pk}"
    rows = all_problem_cells(lead_import)
    return export(
        request, what=what, head=HEAD, rows=rows, back_to=lead_import.get_absolute_url()
    )


def _own(request: MemberRequest, pk: int) -> LeadImport:
    lead_import = own_or_404(
        LeadImport.objects.select_related("company", "made_by", "api_key"), request, pk
    )
    assert isinstance(lead_import, LeadImport)
    return lead_import
