"""The page where admins set up their company's sign-in provider."""

import logging

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from crm.accounts.adapter import at_our_site
from crm.accounts.decorators import MemberRequest, checked_again, member
from crm.accounts.fresh_password import fresh_password, kept_fields
from crm.forms.changes import with_opened
from crm.forms.sign_in_provider import SignInProviderForm
from crm.models import SignInProvider
from crm.models.crypto import KeyState
from crm.models.roles import Action
from crm.models.sign_in_provider import code_of
from crm.services.openid import OpenIdError
from crm.services.sign_in_providers import remove_provider, save_provider, secret_state

logger = logging.getLogger(__name__)


@never_cache
@member(Action.MANAGE_COMPANY)
@fresh_password(kept=with_opened("name", "issuer", "client_id"))
@checked_again
def sign_in_provider(request: MemberRequest) -> HttpResponse:
    """The provider's settings. POST saves them once the provider has answered."""
    company = request.membership.company
    provider = SignInProvider.objects.for_company(company).first() or SignInProvider(
        company=company, code=code_of(company.pk)
    )
    form = SignInProviderForm(
        request.POST or None, instance=provider, typed=kept_fields(request)
    )
    if form.is_valid():
        fields = [name for name in form.changed_data if name != "secret"]
        try:
            save_provider(
                provider=form.instance,
                secret=form.cleaned_data["secret"],
                fields=fields,
            )
        except OpenIdError as error:
            logger.warning(
                "Provider %s can't be saved: %s", provider.code, error.reason
            )
            form.add_error("issuer", str(error))
        else:
            messages.success(
                request, f"{provider.name} was saved. Now try the sign-in link."
            )
            return redirect("sign_in_provider")
    context = {
        "form": form,
        "provider": provider,
        "is_unreadable": bool(provider.pk)
        and secret_state(provider) == KeyState.UNREADABLE,
        "sign_in_url": at_our_site(reverse("company_sign_in", args=[provider.code])),
        "callback_url": at_our_site(
            reverse("company_sign_in_callback", args=[provider.code])
        ),
    }
    return render(request, "crm/company/sign_in_provider.html", context)


@member(Action.MANAGE_COMPANY)
@fresh_password()
def sign_in_provider_remove(request: MemberRequest) -> HttpResponse:
    """Ask for confirmation, then remove the provider."""
    if request.method == "POST":
        remove_provider(company=request.membership.company)
        messages.success(
            request,
            "The provider was removed. Everyone signs in with their password or passkey.",
        )
        return redirect("sign_in_provider")
    return render(request, "crm/company/sign_in_provider_remove.html")
