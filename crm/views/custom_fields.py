"""Custom fields of leads and deals, for admins: the list, adding, editing, ordering, archiving and deleting."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.custom_fields import CustomFieldForm
from crm.models import CustomField, FieldSubject
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.selectors.custom_fields import field_groups
from crm.services.custom_fields import (
    add_field,
    change_field,
    delete_field,
    move_field,
    rows_with_value,
    set_archived,
)

# The buttons of the choices, which only show the form again.
ROW_BUTTONS: Final = ("move", "drop", "more")
STEPS: Final[dict[str, Callable[[int], int]]] = {
    "up": lambda place: place - 1,
    "down": lambda place: place + 1,
}
DIGITS: Final = 3  # of a place


@require_safe
@member(Action.MANAGE_COMPANY)
def custom_fields(request: MemberRequest) -> HttpResponse:
    return render(
        request,
        "crm/custom_fields/list.html",
        {"groups": field_groups(request.membership.company)},
    )


@member(Action.MANAGE_COMPANY)
def custom_field_new(request: MemberRequest) -> HttpResponse:
    form = _form(
        request, initial={"subject": request.GET.get("for", FieldSubject.LEAD)}
    )
    if _is_saved(form, lambda field: add_field(field=field, labels=form.labels or ())):
        messages.success(request, f"{form.instance} was added.")
        return redirect("custom_fields")
    return render(request, "crm/custom_fields/form.html", {"form": form})


@member(Action.MANAGE_COMPANY)
def custom_field_edit(request: MemberRequest, pk: int) -> HttpResponse:
    field = _own(request, pk)
    name = str(field)  # read first, because even an invalid form changes it
    form = _form(request, instance=field)

    def save(field: CustomField) -> None:
        change_field(field=field, fields=form.changed_data, labels=form.labels)

    if _is_saved(form, save):
        messages.success(request, f"{field} was saved.")
        return redirect("custom_fields")
    return render(request, "crm/custom_fields/form.html", {"form": form, "name": name})


@require_POST
@member(Action.MANAGE_COMPANY)
def custom_field_step(request: MemberRequest, pk: int) -> HttpResponse:
    """Archive the field, use it again, or move it: one place (`step`) or, after it was dragged, to the place `to`."""
    field, step, to = (
        _own(request, pk),
        request.POST.get("step", ""),
        request.POST.get("to", ""),
    )
    if step in ("archive", "restore"):
        set_archived(field=field, archived=step == "archive")
    elif step in STEPS:
        move_field(field=field, place=STEPS[step])
    elif is_number(to, digits=DIGITS):
        move_field(field=field, place=lambda _: int(to))
    return redirect("custom_fields")


@member(Action.MANAGE_COMPANY)
def custom_field_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, with how many rows have a value, then delete the field."""
    field = _own(request, pk)
    if request.method == "POST":
        delete_field(field=field)
        messages.success(request, f"{field} was deleted. Its values are being removed.")
        return redirect("custom_fields")
    context = {
        "field": field,
        "count": rows_with_value(field).count(),
        "noun": FieldSubject(field.subject).value,
    }
    return render(request, "crm/custom_fields/delete.html", context)


def _own(request: MemberRequest, pk: int) -> CustomField:
    field = own_or_404(
        CustomField.objects.not_removed().select_related("company"), request, pk
    )
    assert isinstance(field, CustomField)
    return field


def _form(request: MemberRequest, **kwargs: Any) -> CustomFieldForm:
    is_draft = any(name in request.POST for name in ROW_BUTTONS)
    return CustomFieldForm(
        _posted(request),
        company=request.membership.company,
        is_draft=is_draft,
        **kwargs,
    )


def _is_saved(form: CustomFieldForm, save: Callable[[CustomField], object]) -> bool:
    """Save the form if it is valid. Returns False otherwise, also if someone else's change has made it invalid."""
    if not form.is_bound or form.is_draft or not form.is_valid():
        return False
    try:
        save(form.save(commit=False))
    except ValidationError as error:
        form.add_error(None, error)
        return False
    return True


def _posted(request: MemberRequest) -> QueryDict | None:
    """The posted data, with the choice moved or removed if its button was pressed."""
    if request.method != "POST":
        return None
    data = request.POST.copy()
    at = data.get("move") or data.get("drop") or ""
    for name in ("choice_key", "choice"):
        values = data.getlist(name)
        if is_number(at, digits=DIGITS) and int(at) < len(values):
            moved = values.pop(int(at))
            if "move" in data:
                values.insert(max(int(at) - 1, 0), moved)
        data.setlist(name, values)
    return data
