"""A company's own provider (OpenID Connect), as one of allauth's.

A provider is trusted for the people of its company, and only within that company: anyone who runs it can claim to be
any of them. So a session that it has made is bound to it (`crm.accounts.sessions`), reaches no other company, and
doesn't suffice for what belongs to the person, not the company: their address, password, second factors and sessions.
"""

import logging
from collections.abc import Mapping
from typing import Any

from allauth.socialaccount.models import (
    SocialAccount,
    SocialApp,
    SocialLogin,
    SocialToken,
)
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import (
    OpenIDConnectProvider,
)
from allauth.socialaccount.providers.openid_connect.views import (
    OpenIDConnectOAuth2Adapter,
)
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property

from crm.accounts.adapter import at_our_site
from crm.models import SignInProvider
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
from crm.services.openid_claims import may_say_more, names_of, vouched_address
from crm.services.outbound import OutboundClient

logger = logging.getLogger(__name__)


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
        logger.error(
            "The client secret of provider %s can't be decrypted. %s.",
            provider.code,
            error,
        )
        return ""


class ProviderError(OAuth2Error):  # type: ignore[misc]
    """The error that allauth expects if a provider fails. The message is for the log."""

    def __init__(self, error: OpenIdError) -> None:
        super().__init__(error.reason)


class CompanyOpenId(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One sign-in at one provider. `nonce` ties its token to our request."""

    nonce = ""

    def __init__(
        self, request: HttpRequest, code: str, outbound: OutboundClient
    ) -> None:
        super().__init__(request, code)
        self._outbound = outbound

    @cached_property
    def discovered(self) -> Provider:
        try:
            return discover(
                self.get_provider().app.settings["server_url"], outbound=self._outbound
            )
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
        self,
        request: HttpRequest,
        app: SocialApp,
        client: OAuth2Client,
        pkce_code_verifier: str | None = None,
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

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        try:
            claims = verify_id_token(
                kwargs["response"].get("id_token"),
                provider=self.discovered,
                client_id=app.client_id,
                nonce=self.nonce,
                outbound=self._outbound,
            )
            login = self.get_provider().sociallogin_from_response(
                request, {"id_token": {"sub": claims["sub"]}}
            )
            more = self._more_claims(claims, kwargs["response"].get("access_token"))
        except OpenIdError as error:
            raise ProviderError(error) from None
        # An address and what vouches for it are from one source.
        source = more if "email" in more else claims
        login.vouched_address = vouched_address(source, issuer=self.discovered.issuer)
        login.names = names_of({**claims, **more})
        id_token = kwargs["response"]["id_token"]
        login.sign_out_url = sign_out_url(
            id_token, provider=self.discovered, client_id=app.client_id
        )
        return login

    def _more_claims(
        self, claims: Mapping[str, Any], token: object
    ) -> Mapping[str, Any]:
        """What userinfo says, if it is asked: not about people whom we know by their id. Raises OpenIdError."""
        is_known = SocialAccount.objects.filter(
            provider=self.provider_id, uid=claims["sub"]
        ).exists()
        if is_known or not may_say_more(claims, issuer=self.discovered.issuer):
            return {}
        return userinfo(
            token,
            provider=self.discovered,
            subject=claims["sub"],
            outbound=self._outbound,
        )


class CompanyProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """`outbound` is for its requests, if it makes any."""

    def __init__(
        self,
        request: HttpRequest,
        app: SocialApp,
        outbound: OutboundClient | None = None,
    ) -> None:
        super().__init__(request, app=app)
        self._outbound = outbound

    def get_oauth2_adapter(self, request: HttpRequest) -> CompanyOpenId:
        assert self._outbound
        return CompanyOpenId(request, self.sub_id, self._outbound)

    def serialize(self) -> dict[str, Any]:
        """Adds the code of the company's provider. allauth's has only the protocol, which all of them share."""
        return {**super().serialize(), "id": self.sub_id}
