"""Bulk changes: one change of all leads that match a list, its question and its progress."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)
from django.views.decorators.vary import vary_on_headers

from crm.accounts.decorators import (
    MemberRequest,
    checked_again,
    member,
    own_or_404,
    require,
)
from crm.lists.leads import LEADS
from crm.models import BulkChange, BulkKind, LeadChange, LeadResult
from crm.models.key_selection import keys_of
from crm.models.lead import LeadQuerySet
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.selectors import bulk_changes as selector
from crm.selectors.bulk_questions import bulk_question, changed_since, confirmed_leads
from crm.services import bulk_changes
from crm.services.bulk_changes import AT_ONCE
from crm.services.lead_changes import (
    ChangedLeads,
    Confirmation,
    MoreThanConfirmed,
    TargetArchived,
    TargetGone,
    lead_change,
)
from crm.views.editing import FORM_KEY, add_once, form_key, number_in
from crm.views.filtering import (
    filtered_list,
    filters_in_use,
    list_address,
    query_without,
)
from crm.views.undo import tell
from postgresql.availability import took_too_long
from postgresql.bounds import LONG_SECONDS, statements_may_take

CHANGE, TO = "change", "to"  # parameters of the URL, next to those of the filters
# Form fields: what is confirmed.
COUNT, CONVERSIONS, RULES, ASKED_AT = "count", "conversions", "rules", "asked_at"
BROKEN: Final = (
    "Nothing was changed: a filter of this list no longer works. Clear it first."
)
MORE: Final = "Nothing has been changed yet: numbers or rules may be different now. Check them again."


def question_address(filters: str, change: LeadChange) -> str:
    """The address of the page that asks to confirm a change of all leads that match `filters`, a query string."""
    query = [
        (name, value) for name, value in parse_qsl(filters) if name not in (CHANGE, TO)
    ]
    target = str(change.target.pk) if change.target else ""
    return f"{reverse('bulk_change_new')}?{urlencode([*query, (CHANGE, change.kind.value), (TO, target)])}"


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EDIT_LEADS)
@checked_again
def bulk_change_new(request: MemberRequest) -> HttpResponse:
    """Ask for confirmation, then change all leads that match the filters in the URL."""
    back = list_address("leads", query_without(request, (CHANGE, TO)))
    if CHANGE not in request.GET:
        return redirect(back)
    filtered = filtered_list(request, LEADS)
    try:
        change = asked_change(
            request, request.GET.get(CHANGE, ""), request.GET.get(TO, "")
        )
        if filtered.broken:
            raise ValidationError(BROKEN)
        filters = filters_in_use(request, filtered.filters)
        with statements_may_take(LONG_SECONDS):
            if request.method == "POST":
                return _make(request, change, filtered.qs, filters, back)
            return render(
                request,
                "crm/bulk_changes/question.html",
                _question(request, change, filtered.qs, filters, back),
            )
    except MoreThanConfirmed:
        messages.warning(request, MORE)
        return redirect(request.get_full_path())
    except ValidationError as error:
        messages.error(request, error.message)
        return redirect(back)


def asked_change(request: MemberRequest, kind: str, target: str) -> LeadChange:
    """The chosen change.

    Raises ValidationError if the status or tag was archived, Http404 if the kind or the company's target doesn't exist,
    and PermissionDenied if the member's role may not make the change.
    """
    if kind not in BulkKind or (target and not is_number(target)):
        raise Http404
    require(request.membership, BulkKind(kind).needs)
    key = int(target) if target else None
    try:
        return lead_change(
            company=request.membership.company, kind=BulkKind(kind), target=key
        )
    except TargetArchived as archived:
        raise ValidationError(f"Nothing was changed: {archived}") from archived
    except TargetGone as gone:
        raise Http404 from gone


def _question(
    request: MemberRequest,
    change: LeadChange,
    leads: LeadQuerySet,
    filters: Sequence[str],
    back: str,
) -> dict[str, Any]:
    """The context of the confirmation page. Raises ValidationError if no lead matches."""
    question = bulk_question(request.membership.company, change, leads)
    if not question.lead_count:
        raise ValidationError(bulk_changes.NOTHING)
    return {
        "title": selector.title_of(change.kind, change.target, question.lead_count),
        "count": question.lead_count,
        "filters": filters,
        "status": change.target,
        "change": question.expected,
        "belongings": question.belongings,
        "is_at_once": question.lead_count <= AT_ONCE,
        "back": back,
        "inputs": {
            FORM_KEY: form_key(request),
            COUNT: question.lead_count,
            ASKED_AT: question.asked_at.isoformat(),
            CONVERSIONS: question.conversion_count,
            RULES: " ".join(map(str, sorted(question.rules))),
        },
    }


def _make(
    request: MemberRequest,
    change: LeadChange,
    leads: LeadQuerySet,
    filters: Sequence[str],
    back: str,
) -> HttpResponse:
    """Change a few leads at once, or more in the background, but none added or changed since the page was shown.

    Raises MoreThanConfirmed, and ValidationError if no lead is left.
    """
    rules = frozenset(
        int(each) for each in request.POST.get(RULES, "").split() if is_number(each)
    )
    confirmed = Confirmation(
        number_in(request, COUNT, 0),
        number_in(request, CONVERSIONS, 0),
        _asked_at(request),
        rules,
    )
    due = confirmed_leads(change, leads, confirmed)
    if confirmed.leads > AT_ONCE:
        start = partial(
            bulk_changes.start,
            author=request.membership,
            change=change,
            keys=keys_of(due),
            confirmed=confirmed,
            since=changed_since(leads, confirmed),
            filters=filters,
        )
        return add_once(
            request,
            "bulk_change",
            start,
            told="The leads are being changed in the background.",
        )
    few = list(due.values_list("pk", flat=True)[: AT_ONCE + 1])
    if len(few) > confirmed.leads:
        raise MoreThanConfirmed
    if not few:
        raise ValidationError(bulk_changes.NONE_LEFT)
    done = bulk_changes.change_at_once(
        membership=request.membership,
        change=change,
        keys=few,
        confirmed=confirmed,
        filters=filters,
    )
    tell_changed(request, change, done)
    return redirect(back)


def _asked_at(request: MemberRequest) -> datetime:
    """When the confirmation page was shown. Raises MoreThanConfirmed if the form has no valid time."""
    try:
        asked_at = datetime.fromisoformat(request.POST.get(ASKED_AT, ""))
    except ValueError:
        raise MoreThanConfirmed from None
    if asked_at.tzinfo is None:
        raise MoreThanConfirmed
    return asked_at


def tell_changed(
    request: MemberRequest, change: LeadChange, done: ChangedLeads
) -> None:
    """Add a message about what was changed, with an offer to undo it, and one for each reason why leads were not."""
    if done[LeadResult.CHANGED] or done[LeadResult.UNCHANGED]:
        tell(
            request,
            selector.sentence_of(change.kind, change.target, done[LeadResult.CHANGED]),
        )
    if left := done[LeadResult.GONE] + done[LeadResult.SINCE]:
        messages.warning(
            request,
            f"Not changed: {selector.counted(left)}, changed or removed by others meanwhile.",
        )
    for reason, count in done.refusals.items():
        messages.error(request, f"Not changed: {selector.counted(count)}. {reason}")


@require_safe
@vary_on_headers("HX-Request")
@member(Action.EDIT_LEADS)
def overview(request: MemberRequest) -> HttpResponse:
    """The company's bulk changes of the last month, with their progress."""
    changes = selector.changes_of(request.membership.company)
    context = {
        "changes": changes,
        "is_at_work": any(each.row.is_at_work for each in changes),
        "at_once": AT_ONCE,
    }
    return render(
        request, f"crm/bulk_changes/{'_list' if request.htmx else 'list'}.html", context
    )


@require_safe
@vary_on_headers("HX-Request")
@member(Action.EDIT_LEADS)
def detail(request: MemberRequest, pk: int) -> HttpResponse:
    """The progress of a bulk change and, once it has ended, its result."""
    change = selector.listed_change(_own(request, pk))
    template = "_progress" if request.htmx and change.row.is_at_work else "progress"
    return render(
        request,
        f"crm/bulk_changes/{template}.html",
        {"change": change, "row": change.row},
    )


@require_POST
@member(Action.EDIT_LEADS)
def cancel(request: MemberRequest, pk: int) -> HttpResponse:
    """Cancel it. If a worker is changing a chunk of leads, wait for it, up to the statement limit of any page."""
    bulk_change = _own(request, pk)
    try:
        if bulk_changes.cancel(bulk_change=bulk_change):
            messages.success(
                request,
                "Cancelled. Leads that were changed by then stay as they are now.",
            )
    except OperationalError as error:
        if not took_too_long(error):
            raise
        messages.warning(
            request,
            "Not cancelled yet: it is changing some leads right now. Try again in a moment.",
        )
    return redirect(bulk_change)


def _own(request: MemberRequest, pk: int) -> BulkChange:
    bulk_change = own_or_404(
        BulkChange.objects.select_related("company", "made_by", "api_key"), request, pk
    )
    assert isinstance(bulk_change, BulkChange)
    return bulk_change
