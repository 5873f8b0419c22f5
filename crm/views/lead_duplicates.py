"""Leads that may be one person: pairs that a worker has found."""

from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.lists.keyset import ByFields, page_of
from crm.models import LeadDuplicate
from crm.models.roles import Action
from crm.services.lead_duplicates import dismiss
from crm.views.shell import back_to

PAIRS_PER_PAGE: Final = 20


@require_safe
@member(Action.EDIT_LEADS)
def lead_duplicates(request: MemberRequest) -> HttpResponse:
    """The pairs that no one has dismissed, the latest first."""
    own = LeadDuplicate.objects.for_company(request.membership.company)
    page = page_of(
        own.open().select_related("first", "second"),
        ByFields(),
        size=PAIRS_PER_PAGE,
        known=own,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    return render(request, "crm/lead_duplicates/list.html", {"page": page})


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_duplicate_dismiss(request: MemberRequest, pk: int) -> HttpResponse:
    """Remember that the two are not one person."""
    pair = own_or_404(
        LeadDuplicate.objects.select_related("first", "second"), request, pk
    )
    dismiss(pair=pair)
    messages.success(
        request,
        f"{pair.first} and {pair.second} stay two leads. They are not listed here again.",
    )
    return redirect(back_to(request, default=reverse("lead_duplicates")))
