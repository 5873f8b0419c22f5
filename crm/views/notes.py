"""Notes and calls on the pages of leads and deals: adding, editing and deleting them."""

from functools import partial
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.changes import CHANGED
from crm.forms.notes import NoteForm
from crm.models import Deal, Lead, Note
from crm.models.lead import PersonErased
from crm.models.roles import Action
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.services.editing import ChangedMeanwhile
from crm.services.notes import (
    NOT_DELETABLE,
    NotEditable,
    add_note,
    delete_note,
    edit_note,
    may_delete,
    refuse_unless_editable,
)
from crm.views.editing import VERSION, add_once, edit_page, form_key, was_submitted

DEAL_GONE: Final = "Nothing was saved: this deal has since been deleted."


def new_note(
    request: MemberRequest, route: str, subject: Lead | Deal
) -> dict[str, Any]:
    """The context of the form for a new note, on the page of a lead or a deal."""
    return {
        "note_form": NoteForm(),
        "form_key": form_key(request),
        "note_url": reverse(route, args=[subject.pk]),
    }


@member(Action.EDIT_LEADS)
def lead_note(request: MemberRequest, pk: int) -> HttpResponse:
    """Add a note on a lead."""
    lead = own_or_404(Lead.objects.all(), request, pk)
    return _add(request, Note(company=request.membership.company, lead=lead))


@member(Action.EDIT_LEADS)
def deal_note(request: MemberRequest, pk: int) -> HttpResponse:
    """Add a note on a deal."""
    deal = own_or_404(Deal.objects.select_related("lead"), request, pk)
    return _add(
        request, Note(company=request.membership.company, lead=deal.lead, deal=deal)
    )


def _add(request: MemberRequest, note: Note) -> HttpResponse:
    """Save the note, or show its form. A text that can't be saved, because the person was erased, stays in the form."""
    if request.method != "POST" and note.lead and note.lead.erased_at is not None:
        raise Http404
    form, subject = _form(request, note), note.subject
    if form.is_valid() or was_submitted(request):
        save = partial(add_note, note=note, author=request.membership)
        try:
            return add_once(request, "note_edit", save, back=subject.get_absolute_url())
        except PersonErased as erased:
            form.add_error(None, str(erased))
        except DeletedMeanwhile:
            form.add_error(None, DEAL_GONE)
    context = {
        "note_form": form,
        "form_key": form_key(request),
        "note_url": request.path,
        "subject": subject,
    }
    return render(request, "crm/notes/new.html", {**context, "deal": note.deal})


@member(Action.EDIT_LEADS)
def note_edit(request: MemberRequest, pk: int) -> HttpResponse:
    """Edit a note of the member's own, for an hour. A text that can't be saved stays in the form."""
    note = own_or_404(Note.objects.select_related("lead", "deal"), request, pk)
    form, back = _form(request, note), note.subject.get_absolute_url()
    is_valid = form.is_valid()
    try:
        refuse_unless_editable(note, request.membership)
        if is_valid:
            edit_note(
                note=note,
                author=request.membership,
                version=request.POST.get(VERSION, ""),
            )
            messages.success(request, f"{note} was saved.")
            return redirect(back)
    except ChangedMeanwhile:
        form.add_error(None, CHANGED)
    except NotEditable as refusal:
        if request.method != "POST":
            messages.warning(request, str(refusal))
            return redirect(back)
        form.add_error(None, str(refusal))
    except Note.DoesNotExist as gone:
        raise Http404 from gone
    return edit_page(
        request,
        "crm/notes/edit.html",
        {"form": form, "note": note, "cancel_url": back},
        note,
    )


@member(Action.EDIT_LEADS)
def note_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the note. Members may delete their own for an hour, admins any."""
    note = own_or_404(Note.objects.select_related("lead", "deal"), request, pk)
    if not may_delete(note, request.membership):
        raise PermissionDenied(NOT_DELETABLE)
    if request.method == "POST":
        delete_note(note=note)
        messages.success(request, f"{note} was deleted.")
        return redirect(note.subject)
    context = {
        "note": note,
        "has_files": note.files.exists(),
        "back": note.subject.get_absolute_url(),
    }
    return render(request, "crm/notes/delete.html", context)


def _form(request: MemberRequest, note: Note) -> NoteForm:
    return NoteForm(request.POST if request.method == "POST" else None, instance=note)
