"""Changes of the selected leads of a list: giving them a status, an owner or a tag, or deleting them.

Each form can also apply to all leads that match the filters. It then redirects to the page that asks about those.
"""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from crm.accounts.decorators import MemberRequest, checked_again, member
from crm.models import BulkKind, Lead, LeadChange
from crm.models.lead import LeadQuerySet
from crm.models.roles import Action
from crm.selectors.bulk_changes import belongings_of, title_of
from crm.services.bulk_changes import AT_ONCE, change_at_once
from crm.services.status_changes import status_change
from crm.views.bulk_changes import asked_change, question_address, tell_changed
from crm.views.leads import selected_keys
from crm.views.shell import back_to, whole_page

ALL, FILTERS, CONFIRMED = "all", "filters", "confirmed"
NONE_SELECTED: Final = "Select the leads to change first."
TOO_MANY: Final = (
    f"Nothing was changed: at most {AT_ONCE} leads can be selected one by one."
)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EDIT_LEADS)
@checked_again
def lead_bulk_status(request: MemberRequest) -> HttpResponse:
    """Give all selected leads one status. If that sends conversions, a GET asks first and a POST redirects to it."""
    values = request.POST if request.method == "POST" else request.GET
    if request.method != "POST" and not values:
        return redirect("leads")
    try:
        change = asked_change(request, BulkKind.STATUS, values.get("status", ""))
    except ValidationError as error:
        return _refused(request, error)
    if ALL in request.POST:
        return _about_all(request, change)
    status: Any = change.target
    expected = status_change(selected_leads(request, values), status)
    context = {
        "status": status,
        "selected": selected_keys(values),
        "change": expected,
        "back": _back(request),
    }
    if request.method != "POST":
        return render(request, "crm/leads/bulk_status.html", context)
    if expected.conversion_count and CONFIRMED not in values:
        return _ask(request, "lead_bulk_status", status=status.pk)
    return _change(request, change)


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_bulk_owner(request: MemberRequest) -> HttpResponse:
    """Give all selected leads one owner, or none."""
    return _change_as_asked(request, BulkKind.OWNER, request.POST.get("owner", ""))


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_bulk_tags(request: MemberRequest) -> HttpResponse:
    """Add a tag to all selected leads, or remove it (`tag_change`)."""
    kind = (
        BulkKind.REMOVE_TAG
        if request.POST.get("tag_change") == "remove"
        else BulkKind.ADD_TAG
    )
    return _change_as_asked(request, kind, request.POST.get("tag", ""))


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.DELETE_LEADS)
@checked_again
def lead_bulk_delete(request: MemberRequest) -> HttpResponse:
    """Ask for confirmation, then delete all selected leads with what belongs to them."""
    values = request.POST if request.method == "POST" else request.GET
    change = LeadChange(BulkKind.DELETE)
    if ALL in request.POST:
        return _about_all(request, change)
    if CONFIRMED in request.POST:
        return _change(request, change)
    own = selected_leads(request, values)
    count = own.count()
    if not count:
        messages.warning(request, NONE_SELECTED)
        return redirect(_back(request))
    if request.method == "POST":
        return _ask(request, "lead_bulk_delete")
    context = {
        "title": title_of(change.kind, None, count),
        "count": count,
        "selected": selected_keys(values),
        "belongings": belongings_of(request.membership.company, own),
        "back": _back(request),
    }
    return render(request, "crm/leads/bulk_delete.html", context)


def selected_leads(request: MemberRequest, values: QueryDict) -> LeadQuerySet:
    """The selected leads, without ids that aren't the company's."""
    own = Lead.objects.for_company(request.membership.company).current()
    return own.filter(pk__in=selected_keys(values))


def _change_as_asked(
    request: MemberRequest, kind: BulkKind, target: str
) -> HttpResponse:
    try:
        change = asked_change(request, kind, target)
    except ValidationError as error:
        return _refused(request, error)
    return (
        _about_all(request, change) if ALL in request.POST else _change(request, change)
    )


def _change(request: MemberRequest, change: LeadChange) -> HttpResponse:
    keys = list({int(key) for key in selected_keys(request.POST)})
    if not keys:
        messages.warning(request, NONE_SELECTED)
    elif len(keys) > AT_ONCE:
        messages.error(request, TOO_MANY)
    else:
        tell_changed(
            request,
            change,
            change_at_once(membership=request.membership, change=change, keys=keys),
        )
    return redirect(_back(request))


def _ask(request: MemberRequest, page: str, **values: object) -> HttpResponse:
    """Redirect to the page that asks about the selected leads."""
    query = urlencode(
        {**values, "lead": selected_keys(request.POST), "next": _back(request)},
        doseq=True,
    )
    return whole_page(request, f"{reverse(page)}?{query}")


def _about_all(request: MemberRequest, change: LeadChange) -> HttpResponse:
    """Redirect to the page that asks about all leads that match."""
    return whole_page(request, question_address(request.POST.get(FILTERS, ""), change))


def _refused(request: MemberRequest, error: ValidationError) -> HttpResponse:
    messages.error(request, error.message)
    return redirect(_back(request))


def _back(request: MemberRequest) -> str:
    return back_to(request, default=reverse("leads"))
