"""Messages about what someone has just done, and undoing it."""

import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.messages import SUCCESS, get_messages
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from crm.accounts.decorators import MemberRequest, member
from crm.models import Change, CrmEvent, Membership
from crm.models.change import STEPS
from crm.models.roles import Action
from crm.models.tracking.origin import already_sent, current_action
from crm.selectors.timeline import outlooks
from crm.services.undo import NothingToUndo, UndoResult, undo
from crm.views.shell import back_to

NAMES_AT_MOST = 3
UNSENT = (
    "unsent"  # session key: the last action that waits for LinkedIn, and until when
)
UNDO = "undo"  # in the tags of a message whose change can be undone


def tell(request: MemberRequest, text: str) -> None:
    """Add the message `text` about this request's changes, with what is sent to LinkedIn and an offer to undo them."""
    company, action = request.membership.company, current_action()
    if action is None or not _can_be_undone(company.pk, action):
        messages.success(request, text)
        return
    found = [
        outlook
        for look in outlooks
        if (outlook := look(company.pk, action)) is not None
    ]
    seconds = next(
        (str(outlook.seconds) for outlook in found if outlook.seconds is not None), ""
    )
    sentences = " ".join([text, *already_sent(), *(outlook.text for outlook in found)])
    offer_undo(request, sentences, url=reverse("undo", args=[action]), seconds=seconds)
    if seconds:
        request.session[UNSENT] = [str(action), time.time() + int(seconds)]


def offer_undo(request: HttpRequest, text: str, *, url: str, seconds: str = "") -> None:
    """Add a message whose Undo posts to this URL. `seconds`: when the change is sent to LinkedIn, if it is."""
    messages.success(request, text, extra_tags=_undo_tag(url, seconds))


def _undo_tag(url: str, seconds: object) -> str:
    return f"{UNDO}:{seconds}:{url}"


def unsent(request: HttpRequest) -> dict[str, Any]:
    """`unsent`, for the messages of a page: the last change with its Undo again, while it is not sent to LinkedIn."""
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None or getattr(request, "htmx", False):
        return {"unsent": None}
    return {"unsent": partial(_unsent, request, membership.company_id)}


def _unsent(request: HttpRequest, company_id: int) -> Message | None:
    action, until = request.session.get(UNSENT, ("", 0))
    if until <= time.time():
        return None
    url = reverse("undo", args=[action])
    if any(url in (message.extra_tags or "") for message in get_messages(request)):
        return None
    found = [outlook for look in outlooks if (outlook := look(company_id, action))]
    seconds = next((outlook.seconds for outlook in found if outlook.seconds), None)
    if seconds is None:
        return None
    what = _what_happened(company_id, action)
    text = " ".join([what, *(outlook.text for outlook in found)])
    return Message(SUCCESS, text, _undo_tag(url, seconds))


def _what_happened(company_id: int, action: uuid.UUID) -> str:
    events = CrmEvent.objects.for_company(company_id).filter(action=action)
    first, *others = events.select_related("lead", "deal")[:2]
    if others:
        return "Your last changes."
    return f"{first.get_kind_display()}: {first.deal or first.lead}."


def _can_be_undone(company_id: int, action: uuid.UUID) -> bool:
    changes = Change.objects.for_company(company_id).filter(
        action=action, field__in=STEPS
    )
    return (
        changes.exists()
        or CrmEvent.objects.for_company(company_id).filter(action=action).exists()
    )


@require_POST
@member(Action.EDIT_LEADS)
def undo_action(request: MemberRequest, action: uuid.UUID) -> HttpResponse:
    """Undo an action of this company, and report the result."""
    try:
        undone = undo(company=request.membership.company, action=action)
    except NothingToUndo:
        messages.info(
            request, "There is nothing to undo: this has been undone already."
        )
        return redirect(back_to(request, default=reverse("leads")))
    _tell_result(request, undone)
    default = reverse("leads") if undone.removed else undone_url(undone)
    return redirect(default if undone.removed else back_to(request, default=default))


def undone_url(undone: UndoResult) -> str:
    """The page of the first row that was restored or, if there is none, that could not be."""
    url: str = (
        undone.put_back or undone.changed_since or undone.erased or undone.merged
    )[0].get_absolute_url()
    return url


def _tell_result(request: HttpRequest, undone: UndoResult) -> None:
    told = " ".join(undone.told)
    if undone.put_back:
        messages.success(
            request, f"Undone: {_put_back(undone.put_back)}. {told}".strip()
        )
    if undone.removed:
        removed = _names(undone.removed, "has been", "have been")
        messages.success(request, f"Undone: {removed} removed again. {told}".strip())
    if undone.erased:
        erased = _names(undone.erased, "has been", "have been")
        messages.warning(
            request,
            f"Not undone: {erased} erased since, and nothing about them is restored.",
        )
    if undone.merged:
        merged = _names(undone.merged, "has been", "have been")
        messages.warning(
            request,
            f"Not undone: {merged} merged into another lead since. Undo the merge first.",
        )
    if undone.changed_since:
        left = _names(undone.changed_since, "has been", "have been")
        messages.warning(
            request,
            f"Not undone: {left} changed since. Open the page to see the current state.",
        )


def _put_back(rows: Sequence[Any]) -> str:
    """What is as before. Only the status or stage is restored, whatever else the form changed."""
    if len(rows) > 1:
        return f"{_names(rows, '', 'have')} their former {rows[0].step} again"
    (row,) = rows
    row.refresh_from_db(fields=[row.step])
    return (
        f"{row} is {'in ' if row.step == 'stage' else ''}{getattr(row, row.step)} again"
    )


def _names(rows: Sequence[object], one: str, several: str) -> str:
    names = [str(row) for row in rows[:NAMES_AT_MOST]]
    more = len(rows) - len(names)
    return f"{', '.join(names)}{f' and {more:,} more' if more else ''} {one if len(rows) == 1 else several}"
