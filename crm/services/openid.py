"""OpenID Connect: reads a provider's discovery document, and validates its ID tokens.

allauth (65.22) sends no nonce, trusts the issuer that the provider claims, and doesn't verify the signature of tokens
that it fetched itself. Here all three are checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import requests
from django.conf import settings
from django.utils.crypto import constant_time_compare

from crm.services.outbound import get_json

# Signed with a private key. HS256 and its like would accept a public key, or a client secret that others know, as the
# key.
ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY_SECONDS: Final = 60  # by which the clocks may differ
LONGEST_SUBJECT: Final = 191  # characters: the column of allauth
GOOGLE: Final = "https://accounts.google.com"
MICROSOFT: Final = "https://login.microsoftonline.com/"


class OpenIdError(Exception):
    """The provider could not be reached, or answered something that can't be trusted. The message is a sentence."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The addresses of a provider, from its discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_secret_in_header: bool


def discover(issuer: str) -> Provider:
    """Ask the provider for its addresses. Raises OpenIdError."""
    try:
        answer = get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except requests.RequestException:
        # Without the reason, which could show an admin what answers in our network.
        raise OpenIdError("The provider's settings could not be read at this address.") from None
    # Some providers end their issuer with a slash. Apart from that, it has to be identical.
    if str(answer.get("issuer")).rstrip("/") != issuer.rstrip("/"):
        raise OpenIdError("The provider reports a different issuer. Copy it exactly.")
    names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    addresses = {name: str(answer.get(name, "")) for name in names}
    if not all(map(is_safe_address, addresses.values())):
        raise OpenIdError("The provider names addresses that are missing or not HTTPS.")
    methods = answer.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]  # the standard's default
    return Provider(**addresses, takes_secret_in_header="client_secret_post" not in methods)


def is_safe_address(address: str) -> bool:
    """True for an HTTPS address with a host and without a password. HTTP only to this machine, if that is allowed."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        is_plain = settings.OUTBOUND_TO_LOOPBACK and parts.scheme == "http" and host in ("localhost", "127.0.0.1")
        return bool(host) and (parts.scheme == "https" or is_plain) and "@" not in parts.netloc
    except ValueError:
        return False


def verify_id_token(token: object, *, provider: Provider, client_id: str, nonce: str) -> Mapping[str, Any]:
    """The claims of an ID token that this provider signed for us, for this sign-in. Raises OpenIdError."""
    try:
        assert isinstance(token, str)
        claims: dict[str, Any] = jwt.decode(
            token,
            key=_signing_key(token, provider.jwks_uri),
            algorithms=ALGORITHMS,
            audience=client_id,
            issuer=provider.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["aud", "exp", "iat", "iss", "sub"]},
        )
    except requests.RequestException:
        raise OpenIdError("The provider's keys could not be read.") from None
    except (jwt.PyJWTError, AssertionError, TypeError, ValueError) as error:
        raise OpenIdError(f"The provider's token is not valid: {type(error).__name__}.") from None
    if not nonce or not constant_time_compare(str(claims.get("nonce", "")), nonce):
        raise OpenIdError("The provider's token is for another sign-in.")
    if claims.get("azp", client_id) != client_id or not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
        raise OpenIdError("The provider's token is for another application, or for no one.")
    return claims


def _signing_key(token: str, url: str) -> jwt.PyJWK:
    wanted = jwt.get_unverified_header(token).get("kid")
    keys = jwt.PyJWKSet.from_dict(dict(get_json(url))).keys
    matching = [key for key in keys if wanted is None or key.key_id == wanted]
    if len(matching) != 1:
        raise jwt.InvalidKeyError("No key, or more than one, could have signed the token.")
    return matching[0]


def vouched_address(claims: Mapping[str, Any], *, issuer: str) -> str:
    """The e-mail address that the provider has checked, in lower case; "" if it vouches for none.

    Anyone can have a Google account with a company's address, even after leaving: Google vouches for it only in the
    company's own Workspace (`hd`) or for Gmail. Microsoft sends `xms_edov` instead of `email_verified`, if it is asked
    to: without it, any administrator of any tenant can set any address.
    """
    email = claims.get("email")
    if not isinstance(email, str) or not email.isascii() or "@" not in email:
        return ""
    email = email.strip().lower()
    domain = email.rpartition("@")[2]
    if issuer == GOOGLE and domain != "gmail.com" and claims.get("hd") != domain:
        return ""
    if issuer.startswith(MICROSOFT):
        return email if claims.get("xms_edov") in (True, 1, "1", "true") else ""
    return email if claims.get("email_verified") is True else ""
