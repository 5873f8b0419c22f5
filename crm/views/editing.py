"""Adding a row once, and detecting concurrent edits."""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from crm.accounts.decorators import MemberRequest
from crm.forms.changes import CHANGED
from crm.forms.deals import DealForm
from crm.forms.leads import LeadForm
from crm.models import Deal, Lead, Note
from crm.models.validators import is_number
from crm.services.editing import ChangedMeanwhile, unchanged_since, version_of
from crm.services.idempotency import save_once, was_saved
from crm.views.undo import tell

# Concurrent edits of a lead or deal

VERSION: Final = "version"


def saved_unless_changed(request: MemberRequest, form: LeadForm | DealForm) -> bool:
    """Save an edited row. If someone has changed it since the form was opened, add an error and return False."""
    try:
        with unchanged_since(request.POST.get(VERSION, ""), form.instance):
            saved = form.save()
    except ChangedMeanwhile:
        form.add_error(None, CHANGED)
        return False
    except ObjectDoesNotExist as gone:
        raise Http404 from gone
    tell(request, f"{saved} was saved.")
    tell_dropped(request, form)
    return True


def tell_dropped(request: MemberRequest, form: LeadForm | DealForm) -> None:
    """Add a message for each value that was not saved because its field was archived or deleted meanwhile."""
    for name in form.dropped:
        messages.warning(
            request,
            f"{name} is no longer asked for. What you entered there was not saved.",
        )


def edit_page(
    request: MemberRequest,
    template: str,
    context: dict[str, Any],
    row: Lead | Deal | Note,
) -> HttpResponse:
    """The edit form, with the version of the row when it was opened or, after a conflict, the current one."""
    is_conflict = CHANGED in context["form"].non_field_errors()
    if is_conflict:
        row.refresh_from_db()  # the form still shows the entered values
    version = (
        version_of(row) if is_conflict else request.POST.get(VERSION) or version_of(row)
    )
    return render(
        request,
        template,
        {**context, VERSION: version},
        status=409 if is_conflict else 200,
    )


# Adding a row once, however often its form is submitted

FORM_KEY: Final = "form_key"
ALREADY_SAVED: Final = "You submitted this form twice. It was saved once."


def form_key(request: MemberRequest) -> str:
    """The value of the hidden field: the submitted key, or a new one."""
    sent = request.POST.get(FORM_KEY, "")
    return sent if re.fullmatch(r"[0-9a-f]{32}", sent) else uuid.uuid4().hex


def add_once(
    request: MemberRequest,
    route: str,
    save: Callable[[], Model],
    *,
    back: str = "",
    told: str = "",
    contents: Sequence[str] = (),
) -> HttpResponse:
    """Save the new row and redirect to its page, `route`, or to the URL `back`. A repeated form only redirects.

    `told` replaces the message that the row was added. `contents` are the hashes of the form's files.
    """
    added_id, added = save_once(
        company=request.membership.company, sha256=_sha256(request, contents), save=save
    )
    if added is None:
        messages.info(request, ALREADY_SAVED)
    else:
        tell(request, told or f"{added} was added.")
    return redirect(back) if back else redirect(route, added_id)


def number_in(request: MemberRequest, field: str, missing: int) -> int:
    """The number in a field of the form, such as a confirmed count; `missing` if it has none."""
    text = request.POST.get(field, "")
    return int(text) if is_number(text) else missing


def was_submitted(request: MemberRequest) -> bool:
    """True if the same form has been submitted and saved before."""
    return request.method == "POST" and was_saved(
        company=request.membership.company, sha256=_sha256(request)
    )


def _sha256(request: MemberRequest, contents: Sequence[str] = ()) -> str:
    """The hash of the form's values, its URL, and the hashes of its files."""
    values = {
        name: given
        for name, given in request.POST.lists()
        if name not in (FORM_KEY, "csrfmiddlewaretoken")
    }
    text = json.dumps(
        [form_key(request), request.get_full_path(), values, *contents], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()
