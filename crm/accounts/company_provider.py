"""A company's own provider (OpenID Connect), as one of allauth's: what it is asked, and whom it may let in.

A provider is trusted for the people of its company, and only within that company: anyone who runs it can claim to be
any of them. So a session that it has made is bound to it (`crm.accounts.sessions`), reaches no other company, and
doesn't suffice for what belongs to the person, not the company: their address, password, second factors and sessions.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property

from crm.accounts.adapter import at_our_site
from crm.accounts.sessions import SIGN_OUT_URL
from crm.models import Membership, SignInProvider
from crm.models.crypto import Unreadable
from crm.services.openid import (
    Code,
    OpenIdError,
    Provider,
    discover,
    redeem,
    sign_out_url,
    userinfo,
    verify_id_token,
)
from crm.services.openid_claims import Doubt, may_say_more, vouched_address
from crm.services.outbound import OutboundClient

logger = logging.getLogger(__name__)

# Of RFC 6749, 4.1.2.1, and OpenID Connect Core 1.0, 3.1.2.6. Others are not logged: they could contain anything.
ANSWER_ERRORS: Final = frozenset(
    {
        "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error",
        "temporarily_unavailable", "interaction_required", "login_required", "account_selection_required",
        "consent_required", "invalid_request_uri", "invalid_request_object", "request_not_supported",
        "request_uri_not_supported", "registration_not_supported",
    }
)  # fmt: skip


class CompanySignInAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Reads allauth's applications from our table, and lets in only members of the provider's company."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        found = SignInProvider.objects.filter(code=provider or "", company__is_active=True).first()
        return [app_of(found)] if found and client_id in (None, found.client_id) else []

    def get_app(self, request: HttpRequest, provider: str, client_id: str | None = None) -> SocialApp:
        """The provider's application. Raises ValueError if it is gone, as allauth expects when it resumes a sign-in."""
        apps = self.list_apps(request, provider, client_id)
        if not apps:
            raise ValueError("This company has no provider.")
        return apps[0]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> "CompanyProvider":
        return CompanyProvider(request, app=self.get_app(request, provider, client_id))

    def get_requests_session(self) -> NoReturn:
        raise NotImplementedError("Requests to a provider go through crm.services.outbound.")

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    @transaction.atomic
    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find the member whom the provider identifies. Redirects with an explanation if there is none."""
        provider = SignInProvider.objects.select_related("company").get(code=sociallogin.account.provider)
        sociallogin.state[SIGN_OUT_URL] = sociallogin.sign_out_url  # outlasts the wait for a second factor
        if not sociallogin.is_existing:
            # First sign-ins are handled one at a time, so an address is never connected to two of the provider's ids.
            SignInProvider.objects.select_for_update(no_key=True).get(pk=provider.pk)
            sociallogin.lookup()
        members = Membership.objects.for_company(provider.company).active().of_open_companies()
        if sociallogin.is_existing:
            if not members.filter(user=sociallogin.user).exists():
                message = f"You no longer have access to {provider.company}. Ask an admin."
                _refuse(request, provider, message, reason=f"User {sociallogin.user.pk} is no longer a member.")
            return
        address = sociallogin.vouched_address
        if isinstance(address, Doubt):
            _refuse(request, provider, address.advice(provider.name), reason=address.reason)
        member = members.filter(user__email=address).select_related("user").first()
        if member is None:
            message = f"{provider.company} has not added {address}. Ask an admin for an invitation."
            _refuse(request, provider, message, reason="No member has the address.")
        if SocialAccount.objects.filter(provider=provider.code, user=member.user).exists():
            message = f"{address} belongs to someone else at {provider.name}. Ask an admin."
            _refuse(request, provider, message, reason=f"User {member.user.pk} has another id at the provider.")
        sociallogin.connect(request, member.user)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: Mapping[str, Any] | None = None,
    ) -> NoReturn:
        found = SignInProvider.objects.filter(code=provider.sub_id).first()
        if found is None:
            raise ImmediateHttpResponse(redirect("login"))
        if error == AuthError.CANCELLED:
            logger.info("A sign-in with provider %s was cancelled or not allowed there.", found.code)
            messages.info(request, f"You were not signed in: this was cancelled, or {found.name} doesn't allow it.")
            raise ImmediateHttpResponse(redirect("company_sign_in", found.code))
        reason = _about(exception) if exception else _about_answer(request, has_state="state" in (extra_context or {}))
        _refuse(
            request, found, f"Signing in with {found.name} did not work. Try again, or ask an admin.", reason=reason
        )


def _about(error: Exception) -> str:
    """The message of an error of ours, or else only the type: other messages may contain what the provider sent."""
    return str(error) if isinstance(error, ProviderError) else type(error).__name__


def _about_answer(request: HttpRequest, *, has_state: bool) -> str:
    """What is wrong with what the provider sent the browser back with. Of its error, only a code of the standards."""
    if not has_state:
        return "The answer is for no sign-in of this browser: it was used already, or is more than ten minutes late."
    if "error" not in request.GET:
        return "The answer has no code."
    code = request.GET["error"]
    return f"The provider answered {code if code in ANSWER_ERRORS else 'with an unknown error'}."


def _refuse(request: HttpRequest, provider: SignInProvider, message: str, *, reason: str) -> NoReturn:
    """Show the message on the company's sign-in page. The reason is for the log."""
    logger.warning("A sign-in with provider %s failed: %s", provider.code, reason)
    messages.error(request, message)
    raise ImmediateHttpResponse(redirect("company_sign_in", provider.code))


def app_of(provider: SignInProvider) -> SocialApp:
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
    """The error that allauth expects if a provider fails. The message is for the log."""

    def __init__(self, error: OpenIdError) -> None:
        super().__init__(error.reason)


class CompanyOpenId(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One sign-in at one provider. `nonce` ties its token to our request."""

    nonce = ""

    def __init__(self, request: HttpRequest, code: str, outbound: OutboundClient) -> None:
        super().__init__(request, code)
        self._outbound = outbound

    @cached_property
    def discovered(self) -> Provider:
        try:
            return discover(self.get_provider().app.settings["server_url"], outbound=self._outbound)
        except OpenIdError as error:
            raise ProviderError(error) from None

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

    def get_access_token_data(
        self, request: HttpRequest, app: SocialApp, client: OAuth2Client, pkce_code_verifier: str | None = None
    ) -> Mapping[str, Any]:
        code = Code(request.GET["code"], pkce_code_verifier or "", client.callback_url)
        try:
            return redeem(
                code,
                provider=self.discovered,
                client_id=app.client_id,
                secret=app.secret,
                outbound=self._outbound,
            )
        except OpenIdError as error:
            raise ProviderError(error) from None

    def parse_token(self, data: Mapping[str, Any]) -> SocialToken:
        return SocialToken()  # only the ID token is used

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        try:
            claims = verify_id_token(
                kwargs["response"].get("id_token"),
                provider=self.discovered,
                client_id=app.client_id,
                nonce=self.nonce,
                outbound=self._outbound,
            )
            login = self.get_provider().sociallogin_from_response(request, {"id_token": {"sub": claims["sub"]}})
            more = self._more_claims(claims, kwargs["response"].get("access_token"))
        except OpenIdError as error:
            raise ProviderError(error) from None
        # An address and what vouches for it are from one source.
        source = more if "email" in more else claims
        login.vouched_address = vouched_address(source, issuer=self.discovered.issuer)
        id_token = kwargs["response"]["id_token"]
        login.sign_out_url = sign_out_url(id_token, provider=self.discovered, client_id=app.client_id)
        return login

    def _more_claims(self, claims: Mapping[str, Any], token: object) -> Mapping[str, Any]:
        """What userinfo says, if it is asked: not about people whom we know by their id. Raises OpenIdError."""
        is_known = SocialAccount.objects.filter(provider=self.provider_id, uid=claims["sub"]).exists()
        if is_known or not may_say_more(claims, issuer=self.discovered.issuer):
            return {}
        return userinfo(token, provider=self.discovered, subject=claims["sub"], outbound=self._outbound)


class CompanyProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """`outbound` is for its requests, if it makes any."""

    def __init__(self, request: HttpRequest, app: SocialApp, outbound: OutboundClient | None = None) -> None:
        super().__init__(request, app=app)
        self._outbound = outbound

    def get_oauth2_adapter(self, request: HttpRequest) -> CompanyOpenId:
        assert self._outbound
        return CompanyOpenId(request, self.sub_id, self._outbound)

    def serialize(self) -> dict[str, Any]:
        """Adds the code of the company's provider. allauth's has only the protocol, which all of them share."""
        return {**super().serialize(), "id": self.sub_id}
