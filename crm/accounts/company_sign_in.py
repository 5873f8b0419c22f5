"""The pages of signing in with a company's own provider."""

import logging
import secrets
from typing import Any, Final

from allauth.core.ratelimit import consume_or_429
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from crm.accounts.adapter import AccountAdapter
from crm.accounts.company_admission import INVITATION
from crm.accounts.company_provider import (
    CompanyOpenId,
    CompanyProvider,
    ProviderError,
    app_of,
)
from crm.accounts.forms import CompanyCodeForm
from crm.models import Invitation, SignInProvider
from crm.services.openid import prompt_to_ask_again
from crm.services.outbound import OutboundClient, ShareInUse

logger = logging.getLogger(__name__)

# The code of the company that was last signed in to from this browser.
COOKIE: Final = "company_sign_in"
# The code of the company whose provider has to ask who it is, at the next try: after a sign-out or a failed sign-in.
ASK_COOKIE: Final = "company_sign_in_asks"
YEAR_SECONDS: Final = 365 * 24 * 3600
RETRY_SECONDS: Final = 5


@never_cache
@login_not_required
def choose_company(request: HttpRequest) -> HttpResponse:
    """Asks for the company's code, which is part of its sign-in link."""
    form = CompanyCodeForm(request.POST or None)
    if form.is_valid():
        return redirect("company_sign_in", form.cleaned_data["code"])
    return render(request, "account/choose_company.html", {"form": form})


@never_cache
@login_not_required
def sign_in(request: HttpRequest, code: str) -> HttpResponse:
    """The page of a company's sign-in link. POST responds with a page that continues to its provider.

    The CSP lets no form lead to another site, not even by a redirect, so the form posts here first. It has to be a
    form: with a plain link, another site could sign its visitors in.
    """
    provider = _provider_or_404(code)
    next_url = request.POST.get(
        REDIRECT_FIELD_NAME, request.GET.get(REDIRECT_FIELD_NAME, "")
    )
    is_ours = next_url.startswith("/") and AccountAdapter(request).is_safe_url(next_url)
    next_url = next_url if is_ours else ""
    context = {"provider": provider, "next": next_url}
    if request.method != "POST":
        return render(request, "account/company_sign_in.html", context)
    limited: HttpResponse | None = consume_or_429(request, action="login")
    if limited:
        return limited
    opened = Invitation.objects.find(request.POST.get("invitation", ""))
    try:
        url = _begin(request, provider, next_url, opened)
    except ShareInUse as error:
        logger.warning("A sign-in with provider %s has to wait: %s", code, error)
        messages.error(request, str(error))
        return redirect("company_sign_in", code)
    except ProviderError as error:
        logger.warning("Provider %s can't be used: %s", code, error)
        messages.error(
            request,
            f"{provider.name} can't be reached at the moment. Try again, or ask an admin.",
        )
        return redirect("company_sign_in", code)
    response = render(
        request, "account/company_sign_in_continue.html", {**context, "url": url}
    )
    _remember(response, COOKIE, code)
    return response


def ask_again(response: HttpResponse, code: str) -> None:
    """Keep the next sign-in with this provider from going through by itself."""
    _remember(response, ASK_COOKIE, code)


def _remember(response: HttpResponse, name: str, code: str) -> None:
    response.set_cookie(
        name,
        code,
        max_age=YEAR_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _begin(
    request: HttpRequest,
    provider: SignInProvider,
    next_url: str,
    opened: Invitation | None,
) -> str:
    """Store state, nonce, PKCE verifier and invitation in the session. Returns the provider's sign-in URL.

    Raises ShareInUse and ProviderError.
    """
    nonce = secrets.token_urlsafe(24)
    auth_params = {"nonce": nonce}
    if request.COOKIES.get(ASK_COOKIE) == provider.code:
        auth_params["prompt"] = prompt_to_ask_again(provider.issuer)
    with OutboundClient(company_id=provider.company_id) as outbound:
        response = CompanyProvider(request, app_of(provider), outbound).redirect(
            request,
            AuthProcess.LOGIN,
            next_url or None,
            auth_params=auth_params,
            nonce=nonce,
            **{INVITATION: opened.pk if opened else None},
        )
    return str(response.url)


class _Callback(OAuth2CallbackView):  # type: ignore[misc]
    """allauth's view, which doesn't expose the state, and doesn't catch errors when it reads the provider's URLs."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().dispatch(request, *args, **kwargs)
        except ProviderError as error:
            response = render_authentication_error(
                request, self.adapter.get_provider(), exception=error
            )
        return response

    def _get_state(self, request: HttpRequest, provider: Any) -> Any:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce", "")
        return state, response


@require_safe
@never_cache
@login_not_required
def callback(request: HttpRequest, code: str) -> HttpResponse:
    """The page to which the provider sends people back."""
    provider = _provider_or_404(code)
    try:
        with OutboundClient(company_id=provider.company_id) as outbound:
            response: HttpResponse = _Callback.adapter_view(
                CompanyOpenId(request, code, outbound)
            )(request)
    except ShareInUse as error:
        logger.warning("A sign-in with provider %s has to wait: %s", code, error)
        # Nothing was used up: the same address works in a moment.
        context = {"provider": provider, "message": error}
        response = render(
            request, "account/company_sign_in_busy.html", context, status=503
        )
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    if response.headers.get("Location") == reverse("company_sign_in", args=[code]):
        ask_again(response, code)  # it may have been the wrong account
    else:
        response.delete_cookie(ASK_COOKIE)
    return response


def _provider_or_404(code: str) -> SignInProvider:
    provider = (
        SignInProvider.objects.filter(code=code, company__is_active=True)
        .select_related("company")
        .first()
    )
    if provider is None:
        raise Http404
    return provider
