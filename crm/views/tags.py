"""Tags on leads and deals: on one, from its page, or on all selected leads."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.models import Deal, Lead, Tag
from crm.models.roles import Action
from crm.services.tags import put_tag, take_tag
from crm.views.leads import selected_leads
from crm.views.shell import back_to


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_tags(request: MemberRequest, pk: int) -> HttpResponse:
    """Put the tag `add` on the lead, or take the tag `remove` off it."""
    return _change(request, Lead.objects.for_company(request.membership.company).current(), pk)


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def deal_tags(request: MemberRequest, pk: int) -> HttpResponse:
    """Put the tag `add` on the deal, or take the tag `remove` off it."""
    deals = Deal.objects.for_company(request.membership.company)
    return _change(request, deals.filter(lead__erased_at=None), pk)


def _change(request: MemberRequest, rows: Any, pk: int) -> HttpResponse:
    row = own_or_404(rows, request, pk)
    adds = "add" in request.POST
    tag = own_or_404(Tag.objects.all(), request, request.POST.get("add" if adds else "remove"))
    _put_or_take(request, rows.filter(pk=row.pk), tag, adds=adds)
    return redirect(back_to(request, default=row.get_absolute_url()))


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_bulk_tags(request: MemberRequest) -> HttpResponse:
    """Put a tag on all selected leads, or take it off (`tag_change`)."""
    back = back_to(request, default=reverse("leads"))
    tag = own_or_404(Tag.objects.all(), request, request.POST.get("tag"))
    own = selected_leads(request, request.POST)
    if not own.exists():
        messages.warning(request, "Select the leads to change first.")
        return redirect(back)
    adds = request.POST.get("tag_change") != "remove"
    changed = _put_or_take(request, own, tag, adds=adds)
    if changed is not None:
        leads, have = ("lead", "has") if changed == 1 else ("leads", "have")
        messages.success(request, f"{changed:,} {leads} {'now' if adds else 'no longer'} {have} the tag {tag}.")
    return redirect(back)


def _put_or_take(request: MemberRequest, rows: QuerySet[Any], tag: Tag, *, adds: bool) -> int | None:
    """Returns how many rows changed, or None if the tag can't be put on anything, which the page then says."""
    try:
        return put_tag(rows=rows, tag=tag) if adds else take_tag(rows=rows, tag=tag)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return None
