"""Forms that add something once, and editing what somebody else may be editing too."""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from crm.accounts.decorators import MemberRequest
from crm.forms.deals import DealForm
from crm.forms.leads import LeadForm
from crm.models import Deal, Lead
from crm.services.editing import ChangedMeanwhile, unchanged_since, version_of
from crm.services.idempotency import save_once

# --- Editing a lead or a deal that somebody else may be editing too.

VERSION: Final = "version"
CHANGED: Final = (
    "Nothing was saved: this was changed after you opened it. Below is what you typed. Save once more to put it in the "
    "place of what is there now, or cancel to see that."
)


def saved_unless_changed(request: MemberRequest, form: LeadForm | DealForm) -> bool:
    """Save an edited row. False where somebody has changed it since its form was opened, and then the form says so."""
    try:
        with unchanged_since(request.POST.get(VERSION, ""), form.instance):
            messages.success(request, f"{form.save()} was saved.")
    except ChangedMeanwhile:
        form.add_error(None, CHANGED)
        return False
    except ObjectDoesNotExist as gone:
        raise Http404 from gone
    return True


def edit_page(request: MemberRequest, template: str, context: dict[str, Any], row: Lead | Deal) -> HttpResponse:
    """The form of a row, which knows the version that it was opened on; after a conflict, the one there is now."""
    is_conflict = CHANGED in context["form"].non_field_errors()
    if is_conflict:
        row.refresh_from_db(fields=["updated_at"])
    version = version_of(row) if is_conflict else request.POST.get(VERSION) or version_of(row)
    return render(request, template, {**context, VERSION: version}, status=409 if is_conflict else 200)


# --- Forms that add something once, however often they are sent.

FORM_KEY: Final = "form_key"
ALREADY_SAVED: Final = "This form came twice and was saved once."


def form_key(request: MemberRequest) -> str:
    """For the hidden field: the key that the form came with, or a new one."""
    sent = request.POST.get(FORM_KEY, "")
    return sent if re.fullmatch(r"[0-9a-f]{32}", sent) else uuid.uuid4().hex


def added(request: MemberRequest, route: str, save: Callable[[], Model]) -> HttpResponse:
    """Save what the form adds and go to its page, the `route`; the very same form again only goes there."""
    made_id, made = save_once(company=request.membership.company, sha256=_sha256(request), save=save)
    if made is None:
        messages.info(request, ALREADY_SAVED)
    else:
        messages.success(request, f"{made} was added.")
    return redirect(route, made_id)


def _sha256(request: MemberRequest) -> str:
    """Of the form as it was filled in, and where it was sent."""
    typed = {name: values for name, values in request.POST.lists() if name not in (FORM_KEY, "csrfmiddlewaretoken")}
    whole = json.dumps([form_key(request), request.get_full_path(), typed], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
