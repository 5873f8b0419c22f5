"""Files on the pages of leads, deals and notes: adding, downloading and deleting them."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from crm.accounts.bodies import takes_uploads
from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.models import Attachment, Deal, Lead, Note
from crm.models.file_storage import StorageFailed
from crm.models.lead import PersonErased
from crm.models.roles import Action
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.selectors.attachments import download_of, files_on
from crm.services.attachments import (
    NOT_DELETABLE,
    StoredFile,
    add_files,
    delete_file,
    fingerprint,
    may_delete,
    stored,
)
from crm.views.editing import add_once, form_key
from crm.views.notes import DEAL_GONE

FIELD: Final = "file"


@takes_uploads
@require_POST
@member(Action.EDIT_LEADS)
def lead_files(request: MemberRequest, pk: int) -> HttpResponse:
    """Add files to a lead."""
    return _add(request, own_or_404(Lead.objects.all(), request, pk))


@takes_uploads
@require_POST
@member(Action.EDIT_LEADS)
def deal_files(request: MemberRequest, pk: int) -> HttpResponse:
    """Add files to a deal."""
    return _add(request, own_or_404(Deal.objects.select_related("lead"), request, pk))


@takes_uploads
@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EDIT_LEADS)
def note_files(request: MemberRequest, pk: int) -> HttpResponse:
    """The files on a note, and the form that adds some."""
    note = own_or_404(Note.objects.select_related("lead", "deal__lead"), request, pk)
    if request.method == "POST":
        return _add(request, note)
    context = {
        "note": note,
        "files": files_on(note, request.membership),
        "form_key": form_key(request),
    }
    return render(request, "crm/attachments/note.html", context)


def _add(request: MemberRequest, subject: Lead | Deal | Note) -> HttpResponse:
    """Add all the files or none, and go back to their page: a browser can't show chosen files in a form again."""
    files = request.FILES.getlist(FIELD)
    back = (
        subject.subject if isinstance(subject, Note) else subject
    ).get_absolute_url()
    # Read first: a storage may move the file away.
    contents = [fingerprint(file) for file in files]
    told = f"{len(files)} files were added." if len(files) > 1 else ""
    try:
        with stored(files, company=request.membership.company) as kept:
            save = partial(_added, request, subject, kept)
            return add_once(
                request, "lead", save, back=back, told=told, contents=contents
            )
    except ValidationError as refusal:
        messages.error(request, refusal.message)
    except DeletedMeanwhile:
        messages.error(request, DEAL_GONE)
    except (StorageFailed, PersonErased) as refusal:
        messages.error(request, str(refusal))
    return redirect(back)


def _added(
    request: MemberRequest, subject: Lead | Deal | Note, files: Sequence[StoredFile]
) -> Attachment:
    return add_files(subject=subject, files=files, author=request.membership)[0]


@require_safe
@member(Action.SEE_FILES)
def file_download(request: MemberRequest, pk: int) -> HttpResponseBase:
    """The file, always as a download, whatever its type."""
    attachment = _own(request, pk)
    try:
        return download_of(attachment)
    except StorageFailed as reason:
        messages.error(request, str(reason))
        return redirect(attachment.subject)


@member(Action.EDIT_LEADS)
def file_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the file. Members may delete their own files, admins any."""
    attachment = _own(request, pk)
    if not may_delete(attachment, request.membership):
        raise PermissionDenied(NOT_DELETABLE)
    if request.method == "POST":
        delete_file(attachment=attachment)
        messages.success(request, f"{attachment} was deleted.")
        return redirect(attachment.subject)
    return render(request, "crm/attachments/delete.html", {"file": attachment})


def _own(request: MemberRequest, pk: int) -> Attachment:
    attachment = own_or_404(
        Attachment.objects.select_related("lead", "deal"), request, pk
    )
    assert isinstance(attachment, Attachment)
    return attachment
