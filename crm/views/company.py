"""The company page for admins: name, people and API keys."""

import logging
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.accounts.fresh_password import ask_for_password, kept_fields
from crm.forms.company import ApiKeyForm, CompanyForm
from crm.models import ApiKey, Company, Membership
from crm.models.crypto import Unreadable, seal, unseal
from crm.models.roles import Action
from crm.services.companies import (
    TooManyKeys,
    issue_api_key,
    revoke_api_key,
    save_company,
)

logger = logging.getLogger(__name__)

KEPT_FIELDS: Final = ("name", "role", "expires_on", "networks", "scopes")
# Session key, until the API key is shown: its id and encrypted text.
NEW_KEY: Final = "made_api_key"


@member(Action.MANAGE_COMPANY)
def company(request: MemberRequest) -> HttpResponse:
    """The page. POST changes the company's details."""
    form = CompanyForm(
        request.POST or None,
        instance=Company.objects.get(pk=request.membership.company_id),
    )
    if form.is_valid():
        save_company(company=form.instance, fields=form.changed_data)
        messages.success(request, "The company was saved.")
        return redirect("company")
    return _page(request, company_form=form)


@require_POST
@member(Action.MANAGE_COMPANY)
def api_key_new(request: MemberRequest) -> HttpResponse:
    """Create a key and redirect to the page that shows it, so that a reload creates no second key."""
    form = ApiKeyForm(request.POST)
    if not form.is_valid():
        return _page(request, key_form=form)
    if asked := ask_for_password(request, form_at=reverse("company"), kept=KEPT_FIELDS):
        return asked
    try:
        key, text = issue_api_key(
            company=request.membership.company,
            role=form.cleaned_data["role"],
            name=form.cleaned_data["name"],
            user=request.user,
            limits=form.limits(),
        )
    except TooManyKeys as error:
        form.add_error(None, str(error))
        return _page(request, key_form=form)
    request.session[NEW_KEY] = [key.pk, seal(text)]
    return redirect("api_key_made")


@require_safe
@never_cache
@member(Action.MANAGE_COMPANY)
def api_key_made(request: MemberRequest) -> HttpResponse:
    """Show the text of the new key once. After that, redirect to the company page."""
    pk, sealed = request.session.pop(NEW_KEY, (None, ""))
    if pk is None:
        messages.info(
            request, "A key is shown only once. If you didn't copy it, create another."
        )
        return redirect("company")
    key = own_or_404(ApiKey.objects.all(), request, pk)
    try:
        text = unseal(sealed)
    except Unreadable as error:
        logger.error("API key %s can't be decrypted. %s.", pk, error)
        messages.error(
            request, "This key can no longer be shown. Revoke it and create another."
        )
        return redirect("company")
    return render(request, "crm/company/api_key_made.html", {"key": key, "text": text})


@member(Action.MANAGE_COMPANY)
def api_key_revoke(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then revoke a key."""
    key = own_or_404(ApiKey.objects.all(), request, pk)
    if request.method == "POST":
        revoke_api_key(key=key)
        messages.success(request, f"The key {key} was revoked and no longer works.")
        return redirect("company")
    return render(request, "crm/company/api_key_revoke.html", {"key": key})


def _page(request: MemberRequest, **forms: Any) -> HttpResponse:
    """The company page, with the invalid form in `forms`, if any."""
    own = request.membership.company
    context = {
        "company_form": CompanyForm(instance=own),
        "people": Membership.objects.for_company(own).select_related("user"),
        "keys": ApiKey.objects.for_company(own).select_related("created_by"),
        "key_form": ApiKeyForm(initial=kept_fields(request)),
    }
    return render(request, "crm/company/page.html", context | forms)
