"""Signing in with a company's own provider (OpenID Connect), built on allauth's.

A provider is trusted for the people of its company, and only within that company: anyone who runs it can claim to be
any of them. So a session that it has made is bound to it (`crm.accounts.sessions`), reaches no other company, and
doesn't suffice for what belongs to the person, not the company: their address, password, second factors and sessions.
"""

import logging
import secrets
from functools import cached_property
from typing import Any, Final, NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import consume_or_429
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from crm.accounts.adapter import AccountAdapter, at_our_site
from crm.accounts.forms import CompanyCodeForm
from crm.models import Membership, SignInProvider
from crm.models.crypto import Unreadable
from crm.services.openid import OpenIdError, Provider, discover, verify_id_token, vouched_address
from crm.services.outbound import GuardedSession

logger = logging.getLogger(__name__)

COOKIE: Final = "company_sign_in"  # the code of the company that was last signed in to from this browser
YEAR_SECONDS: Final = 365 * 24 * 3600


class CompanySignInAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Reads allauth's applications from our table, and lets in only members of the provider's company."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        found = SignInProvider.objects.filter(code=provider or "", company__is_active=True).first()
        return [_app(found)] if found and client_id in (None, found.client_id) else []

    def get_app(self, request: HttpRequest, provider: str, client_id: str | None = None) -> SocialApp:
        """The provider's application. Raises ValueError if it is gone, as allauth expects when it resumes a sign-in."""
        apps = self.list_apps(request, provider, client_id)
        if not apps:
            raise ValueError("This company has no provider.")
        return apps[0]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> "CompanyProvider":
        return CompanyProvider(request, app=self.get_app(request, provider, client_id))

    def get_requests_session(self) -> GuardedSession:
        return GuardedSession()

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    @transaction.atomic
    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find the member whom the provider identifies. Redirects with an explanation if there is none."""
        provider = SignInProvider.objects.select_related("company").get(code=sociallogin.account.provider)
        if not sociallogin.is_existing:
            # First sign-ins are handled one at a time, so an address is never connected to two of the provider's ids.
            SignInProvider.objects.select_for_update(no_key=True).get(pk=provider.pk)
            sociallogin.lookup()
        members = Membership.objects.for_company(provider.company).active().of_open_companies()
        if sociallogin.is_existing:
            if not members.filter(user=sociallogin.user).exists():
                _refuse(request, provider, f"You no longer have access to {provider.company}. Ask an admin.")
            return
        address = sociallogin.account.vouched_address
        if not address:
            _refuse(request, provider, f"{provider.name} doesn't confirm your e-mail address. Ask an admin.")
        member = members.filter(user__email=address).select_related("user").first()
        if member is None:
            _refuse(request, provider, f"{provider.company} has not added {address}. Ask an admin for an invitation.")
        if SocialAccount.objects.filter(provider=provider.code, user=member.user).exists():
            _refuse(request, provider, f"{address} belongs to someone else at {provider.name}. Ask an admin.")
        sociallogin.connect(request, member.user)

    def on_authentication_error(self, request: HttpRequest, provider: Any, **kwargs: Any) -> None:
        logger.warning("A sign-in with provider %s failed: %s", provider.sub_id, _reason(kwargs.get("exception")))
        found = SignInProvider.objects.filter(code=provider.sub_id).first()
        if found is None:
            raise ImmediateHttpResponse(redirect("login"))
        _refuse(request, found, f"Signing in with {found.name} did not work. Try again, or ask an admin.")


def _reason(error: object) -> str:
    """The message of an error of ours, or else only the type: other messages may contain what the provider sent."""
    return str(error) if isinstance(error, ProviderError) else type(error).__name__


def _refuse(request: HttpRequest, provider: SignInProvider, message: str) -> NoReturn:
    messages.error(request, message)
    raise ImmediateHttpResponse(redirect("company_sign_in", provider.code))


def _app(provider: SignInProvider) -> SocialApp:
    """The provider as allauth's application, unsaved."""
    return SocialApp(
        provider="openid_connect",
        provider_id=provider.code,
        name=provider.name,
        client_id=provider.client_id,
        secret=_secret(provider),
        settings={"server_url": provider.issuer, "oauth_pkce_enabled": True},
    )


def _secret(provider: SignInProvider) -> str:
    """The client secret; "" if it can't be decrypted, so that the provider refuses."""
    try:
        return provider.secret
    except Unreadable as error:
        logger.error("The client secret of provider %s can't be decrypted. %s.", provider.code, error)
        return ""


class ProviderError(OAuth2Error):  # type: ignore[misc]
    """The error that allauth expects if a provider fails."""


class CompanyOpenId(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One sign-in at one provider. `nonce` ties its token to our request."""

    nonce = ""

    @cached_property
    def discovered(self) -> Provider:
        try:
            return discover(self.get_provider().app.settings["server_url"])
        except OpenIdError as error:
            raise ProviderError(str(error)) from None

    @property
    def authorize_url(self) -> str:
        return self.discovered.authorization_endpoint

    @property
    def access_token_url(self) -> str:
        return self.discovered.token_endpoint

    @property
    def basic_auth(self) -> bool:
        return self.discovered.takes_secret_in_header

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return at_our_site(reverse("company_sign_in_callback", args=[app.provider_id]))

    def get_access_token_data(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return {**super().get_access_token_data(*args, **kwargs)}
        except (KeyError, TypeError, ValueError) as error:
            raise ProviderError(f"The provider's answer is no token: {type(error).__name__}.") from None

    def parse_token(self, data: dict[str, Any]) -> SocialToken:
        return SocialToken()  # only the ID token is used

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        try:
            claims = verify_id_token(
                kwargs["response"].get("id_token"),
                provider=self.discovered,
                client_id=app.client_id,
                nonce=self.nonce,
            )
        except OpenIdError as error:
            raise ProviderError(str(error)) from None
        login = self.get_provider().sociallogin_from_response(request, {"id_token": {"sub": claims["sub"]}})
        login.account.vouched_address = vouched_address(claims, issuer=self.discovered.issuer)
        return login


class _Callback(OAuth2CallbackView):  # type: ignore[misc]
    """allauth's view, which doesn't expose the state, and doesn't catch errors when it reads the provider's URLs."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().dispatch(request, *args, **kwargs)
        except ProviderError as error:
            response = render_authentication_error(request, self.adapter.get_provider(), exception=error)
        return response

    def _get_state(self, request: HttpRequest, provider: Any) -> Any:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce", "")
        return state, response


class CompanyProvider(OpenIDConnectProvider):  # type: ignore[misc]
    oauth2_adapter_class = CompanyOpenId

    def serialize(self) -> dict[str, Any]:
        """Adds the code of the company's provider. allauth's has only the protocol, which all of them share."""
        return {**super().serialize(), "id": self.sub_id}


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
    next_url = request.POST.get(REDIRECT_FIELD_NAME, request.GET.get(REDIRECT_FIELD_NAME, ""))
    is_ours = next_url.startswith("/") and AccountAdapter(request).is_safe_url(next_url)
    next_url = next_url if is_ours else ""
    context = {"provider": provider, "next": next_url}
    if request.method != "POST":
        return render(request, "account/company_sign_in.html", context)
    limited: HttpResponse | None = consume_or_429(request, action="login")
    if limited:
        return limited
    try:
        url = _begin(request, provider, next_url)
    except ProviderError as error:
        logger.warning("Provider %s can't be used: %s", code, error)
        messages.error(request, f"{provider.name} can't be reached at the moment. Try again, or ask an admin.")
        return redirect("company_sign_in", code)
    response = render(request, "account/company_sign_in_continue.html", {**context, "url": url})
    response.set_cookie(
        COOKIE, code, max_age=YEAR_SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
    )
    return response


def _begin(request: HttpRequest, provider: SignInProvider, next_url: str) -> str:
    """Store state, nonce and PKCE verifier in the session. Returns the provider's sign-in URL."""
    nonce = secrets.token_urlsafe(24)
    response = CompanyProvider(request, app=_app(provider)).redirect(
        request, AuthProcess.LOGIN, next_url or None, auth_params={"nonce": nonce}, nonce=nonce
    )
    return str(response.url)


@require_safe
@never_cache
@login_not_required
def callback(request: HttpRequest, code: str) -> HttpResponse:
    """The page to which the provider sends people back."""
    _provider_or_404(code)
    response: HttpResponse = _Callback.adapter_view(CompanyOpenId(request, code))(request)
    return response


def _provider_or_404(code: str) -> SignInProvider:
    provider = SignInProvider.objects.filter(code=code, company__is_active=True).select_related("company").first()
    if provider is None:
        raise Http404
    return provider
