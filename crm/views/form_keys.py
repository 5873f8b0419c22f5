"""Forms that add something once, however often they are sent.

Each such form is shown with a key of its own. Sent again as it was, it leads to what it made; sent again with other
words in it, as after Back, it is another form.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from typing import Final

from django.contrib import messages
from django.db.models import Model
from django.http import HttpResponse
from django.shortcuts import redirect

from crm.accounts.decorators import MemberRequest
from crm.services.idempotency import save_once

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
