"""Sources, for admins: the list, adding one, its address, what it has sent, and deleting it."""

from typing import Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from crm.accounts.adapter import at_our_site
from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.intake_sources import IntakeSourceForm
from crm.models import IntakeSource, Payload
from crm.models.roles import Action
from crm.services.intake_sources import (
    add_source,
    change_source,
    delete_source,
    renew_address,
)

PAYLOADS_SHOWN: Final = 50


@never_cache
@member(Action.MANAGE_COMPANY)
def sources(request: MemberRequest) -> HttpResponse:
    """The list. A POST adds a source, and shows its address only once."""
    company = request.membership.company
    form = IntakeSourceForm(
        request.POST or None, instance=IntakeSource(company=company)
    )
    if form.is_valid():
        try:
            token = add_source(source=form.instance)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return _page(request, form.instance, token)
    own = IntakeSource.objects.for_company(company)
    return render(request, "crm/intake/list.html", {"form": form, "sources": own})


@member(Action.MANAGE_COMPANY)
def source(request: MemberRequest, pk: int) -> HttpResponse:
    """The source and what it has sent. A POST saves it."""
    found = own_or_404(IntakeSource.objects.all(), request, pk)
    form = IntakeSourceForm(request.POST or None, instance=found)
    if form.is_valid():
        change_source(source=form.instance, fields=form.changed_columns)
        messages.success(request, f"{form.instance} was saved.")
        return redirect("intake_source", pk)
    return _page(request, found, form=form)


@require_POST
@never_cache
@member(Action.MANAGE_COMPANY)
def source_address(request: MemberRequest, pk: int) -> HttpResponse:
    """Give the source a new address, and show that only once."""
    found = own_or_404(IntakeSource.objects.all(), request, pk)
    return _page(request, found, renew_address(source=found))


@member(Action.MANAGE_COMPANY)
def source_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the source with its payloads."""
    found = own_or_404(IntakeSource.objects.all(), request, pk)
    if request.method == "POST":
        delete_source(source=found)
        messages.success(request, f"{found} was deleted.")
        return redirect("intake_sources")
    payloads = Payload.objects.for_company(found.company_id).filter(source=found)
    context = {
        "source": found,
        "count": payloads.count(),
        "unread_count": payloads.filter(ended_at=None).count(),
    }
    return render(request, "crm/intake/delete.html", context)


def _page(
    request: MemberRequest,
    found: IntakeSource,
    token: str = "",
    form: IntakeSourceForm | None = None,
) -> HttpResponse:
    """The page of a source. With a token, it shows the address."""
    payloads = Payload.objects.for_company(found.company_id).filter(source=found)
    context = {
        "source": found,
        "form": form or IntakeSourceForm(instance=found),
        "url": at_our_site(reverse("intake", args=[token])) if token else "",
        "payloads": payloads.defer("body").order_by("-pk")[:PAYLOADS_SHOWN],
    }
    return render(request, "crm/intake/source.html", context)
