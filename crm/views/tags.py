"""Tags on one lead or deal, from its page."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.models import Deal, Lead, Tag
from crm.models.roles import Action
from crm.services.tags import put_tag, take_tag
from crm.views.shell import back_to


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_tags(request: MemberRequest, pk: int) -> HttpResponse:
    """Add the tag `add` to the lead, or remove the tag `remove`."""
    return _change(
        request, Lead.objects.for_company(request.membership.company).current(), pk
    )


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def deal_tags(request: MemberRequest, pk: int) -> HttpResponse:
    """Add the tag `add` to the deal, or remove the tag `remove`."""
    deals = Deal.objects.for_company(request.membership.company)
    return _change(request, deals.filter(lead__erased_at=None), pk)


def _change(request: MemberRequest, rows: Any, pk: int) -> HttpResponse:
    row = own_or_404(rows, request, pk)
    adds = "add" in request.POST
    tag = own_or_404(
        Tag.objects.all(), request, request.POST.get("add" if adds else "remove")
    )
    put_or_take = put_tag if adds else take_tag
    try:
        put_or_take(rows=rows.filter(pk=row.pk), tag=tag)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    return redirect(back_to(request, default=row.get_absolute_url()))
