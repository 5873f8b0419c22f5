"""The lists of the company settings: statuses, stages, lost reasons, lead types, sources and tags. For admins."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.picklists import PicklistForm, entry_form
from crm.models import Pipeline, Stage
from crm.models.picklist import LAST_POSITION
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.selectors.picklists import TEXTS, anchor_of, removal_of, sections_of
from crm.services.picklists import (
    PICKLISTS,
    Picklist,
    add_entry,
    archive_entry,
    change_entry,
    delete_entry,
    move_entry,
    picklist_of,
    unarchive_entry,
)

STEPS: Final[dict[str, Callable[[int], int]]] = {
    "up": lambda at: at - 1,
    "down": lambda at: at + 1,
}


@require_safe
@member(Action.MANAGE_COMPANY)
def picklists(request: MemberRequest) -> HttpResponse:
    """All lists, one below the other."""
    return render(
        request,
        "crm/picklists/page.html",
        {"sections": sections_of(request.membership.company)},
    )


@member(Action.MANAGE_COMPANY)
@checked_again
def picklist_new(request: MemberRequest, kind: str) -> HttpResponse:
    """Add an entry at the end of a list. A stage joins the pipeline in `?pipeline=`, or else the default one."""
    picklist = _picklist(kind)
    entry: Any = picklist.model(company=request.membership.company)
    if isinstance(entry, Stage):
        entry.pipeline = _pipeline_of_new_stage(request)
    form = entry_form(picklist.model)(request.POST or None, instance=entry)
    if form.is_valid() and _saved(form, lambda: add_entry(entry=form.instance)):
        messages.success(request, f"{form.instance} was added.")
        return redirect(_list_url(entry))
    return _form_page(
        request, form, title=f"Add a {TEXTS[picklist].noun}", button="Add"
    )


def _pipeline_of_new_stage(request: MemberRequest) -> Pipeline:
    if "pipeline" in request.GET:
        return own_or_404(Pipeline.objects.offered(), request, request.GET["pipeline"])
    return Pipeline.objects.default_of(request.membership.company)


@member(Action.MANAGE_COMPANY)
@checked_again
def picklist_edit(request: MemberRequest, kind: str, pk: int) -> HttpResponse:
    """Rename an entry, or change its colour."""
    picklist, entry = _entry(request, kind, pk)
    # Read first, because even an invalid form changes the entry.
    title = f"Edit {entry}"
    form = entry_form(picklist.model)(request.POST or None, instance=entry)
    if form.is_valid() and _saved(
        form, lambda: change_entry(entry=entry, fields=form.changed_data)
    ):
        messages.success(request, f"{entry} was saved.")
        return redirect(_list_url(entry))
    return _form_page(request, form, title=title, button="Save")


@require_POST
@member(Action.MANAGE_COMPANY)
def picklist_move(request: MemberRequest, kind: str, pk: int) -> HttpResponse:
    """Move an entry: one place (`step`) or, when it was dragged, to the place `to`, counted from 0."""
    _, entry = _entry(request, kind, pk)
    step, to = STEPS.get(request.POST.get("step", "")), request.POST.get("to", "")
    if step is None and not is_number(to, digits=len(str(LAST_POSITION))):
        raise Http404
    move_entry(entry=entry, place=step or (lambda _: int(to)))
    return redirect(_list_url(entry))


@require_POST
@member(Action.MANAGE_COMPANY)
def picklist_archive(request: MemberRequest, kind: str, pk: int) -> HttpResponse:
    """Archive an entry or, with `archived=0`, offer it again."""
    _, entry = _entry(request, kind, pk)
    try:
        if request.POST.get("archived") == "0":
            unarchive_entry(entry=entry)
            messages.success(request, f"{entry} can be chosen again.")
        else:
            archive_entry(entry=entry)
            messages.success(
                request,
                f"{entry} was archived. It stays where it is used, and can no longer be chosen.",
            )
    except ValidationError as error:
        messages.error(request, f"{entry} was not archived. {error.messages[0]}")
    return redirect(_list_url(entry))


@member(Action.MANAGE_COMPANY)
def picklist_delete(request: MemberRequest, kind: str, pk: int) -> HttpResponse:
    """Ask which entry replaces this one where it is used, then replace and delete it."""
    picklist, entry = _entry(request, kind, pk)
    if request.method == "POST":
        chosen = request.POST.get("move_to")
        target = None
        if chosen:
            target = own_or_404(picklist.model.objects.all(), request, chosen)
        try:
            moved = delete_entry(entry=entry, move_to=target)
        except ValidationError as error:
            messages.error(request, f"{entry} was not deleted. {error.messages[0]}")
            return redirect("picklist_delete", kind, pk)
        messages.success(
            request,
            f"{entry} was deleted."
            + (f" {moved:,} moved to {target}." if moved else ""),
        )
        return redirect(_list_url(entry))
    context = {
        "entry": entry,
        "text": TEXTS[picklist],
        "removal": removal_of(entry, picklist),
    }
    return render(
        request, "crm/picklists/delete.html", {**context, "list_url": _list_url(entry)}
    )


def _picklist(kind: str) -> Picklist:
    try:
        return PICKLISTS[kind]
    except KeyError:
        raise Http404 from None


def _entry(request: MemberRequest, kind: str, pk: int) -> tuple[Picklist, Any]:
    picklist = _picklist(kind)
    return picklist, own_or_404(picklist.model.objects.all(), request, pk)


def _saved(form: PicklistForm, save: Callable[[], object]) -> bool:
    """Save the entry. If the list refuses it, add the reason to the form and return False."""
    try:
        save()
    except ValidationError as error:
        form.add_error(None, error.messages[0])
        return False
    return True


def _form_page(
    request: MemberRequest, form: PicklistForm, *, title: str, button: str
) -> HttpResponse:
    context = {
        "form": form,
        "title": title,
        "button": button,
        "cancel_url": _list_url(form.instance),
    }
    return render(request, "crm/picklists/form.html", context)


def _list_url(entry: Any) -> str:
    """The URL of the entry's list, with its anchor."""
    pipeline = entry.pipeline if isinstance(entry, Stage) else None
    return f"{reverse('picklists')}#{anchor_of(picklist_of(entry).kind, pipeline)}"
