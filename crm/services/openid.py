"""OpenID Connect: reads a provider's discovery document, redeems its codes, validates its ID tokens, reads userinfo.

allauth (65.22) sends no nonce, trusts the issuer that the provider claims, and doesn't verify the signature of tokens
that it fetched itself. Here all three are checked. Whatever a provider sends, of whatever type, ends in an OpenIdError.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import jwt

from crm.models.sign_in_provider import ISSUER_LENGTH
from crm.services.openid_claims import GOOGLE
from crm.services.outbound import (
    Answer,
    Failure,
    OutboundClient,
    OutboundError,
    is_safe_address,
)

# Signed with a private key. HS256 and its like would accept a public key, or a client secret that others know, as the
# key.
ALGORITHMS: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
LEEWAY_SECONDS: Final = 60  # by which the clocks may differ
LONGEST_SUBJECT: Final = 191  # characters: the column of allauth
# Of RFC 7517 and 7518: what describes a public key
PUBLIC_PART: Final = frozenset({"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"})
LONGEST_NUMBER: Final = 1_400  # characters of base64: 8,192 bits
# Characters of an ID token in the address to sign out at: some servers refuse longer
# ones.
LONGEST_HINT: Final = 4_000
WELL_KNOWN: Final = "/.well-known/openid-configuration"
# Of RFC 6749. Others are not logged: they could contain anything.
TOKEN_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
# What PyJWT (2.15) raises for keys and claims of other types than it expects, apart from its own errors.
BAD_TOKEN: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class OpenIdError(Exception):
    """The provider could not be reached, or answered something that can't be trusted.

    The message is a sentence, which shows nothing that the provider sent. `reason` says more, for the log alone.
    """

    def __init__(self, message: str, reason: object = "") -> None:
        super().__init__(message)
        self.reason = str(reason or message)


@dataclass(frozen=True, slots=True)
class Provider:
    """The addresses of a provider, from its discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_secret_in_header: bool
    # "" if it has none
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""


NO_PROVIDER: Final = (
    "There is no OpenID Connect provider at this address. Copy the issuer from your "
    "provider's settings."
)
# What the admin who enters the issuer can do about it
ABOUT_FAILURES: Final = {
    Failure.NOT_REACHABLE: "This host has no address on the internet. If it is in your own network, the operator of "
    "LeadMachine has to allow it (LEADMACHINE_OUTBOUND_ALLOWED).",
    Failure.NOT_TRUSTED: "The certificate of this host is not valid, or is from an authority that LeadMachine doesn't "
    "know. The operator can add your own authority (LEADMACHINE_CA_BUNDLE).",
    Failure.NO_CONNECTION: "There is no HTTPS connection to this host. Check the address and its port.",
    Failure.TOO_SLOW: "This host did not answer in time. Try again.",
    Failure.ODD_ANSWER: NO_PROVIDER,
}


def discover(issuer: str, *, outbound: OutboundClient) -> Provider:
    """Ask the provider for its addresses. Raises OpenIdError."""
    try:
        document = outbound.get_json(f"{issuer.rstrip('/')}{WELL_KNOWN}")
    except OutboundError as error:
        raise OpenIdError(ABOUT_FAILURES[error.failure], error) from None
    if not document.keys() & {"issuer", "authorization_endpoint"}:
        raise OpenIdError(NO_PROVIDER)
    # Some providers end their issuer with a slash. Apart from that, it has to be identical.
    claimed, plain = _text(document, "issuer"), issuer.rstrip("/")
    if claimed not in (plain, f"{plain}/") or len(claimed) > ISSUER_LENGTH:
        raise OpenIdError("The provider reports a different issuer. Copy it exactly.")
    return Provider(
        issuer=claimed,
        authorization_endpoint=_address(document, "authorization_endpoint"),
        token_endpoint=_address(document, "token_endpoint"),
        jwks_uri=_address(document, "jwks_uri"),
        takes_secret_in_header="client_secret_post" not in _token_methods(document),
        userinfo_endpoint=_optional_address(document, "userinfo_endpoint"),
        end_session_endpoint=_optional_address(document, "end_session_endpoint"),
    )


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _address(document: Mapping[str, Any], name: str) -> str:
    address = _text(document, name)
    if not is_safe_address(address):
        raise OpenIdError(
            "The provider names addresses that are missing or not HTTPS.",
            f"{name} is not an address.",
        )
    return address


def _optional_address(document: Mapping[str, Any], name: str) -> str:
    address = _text(document, name)
    return address if is_safe_address(address) else ""


def _token_methods(document: Mapping[str, Any]) -> list[object]:
    name = "token_endpoint_auth_methods_supported"
    methods = document.get(name)
    if methods is None:
        return ["client_secret_basic"]  # the standard's default
    if not isinstance(methods, list):
        raise OpenIdError(
            "The provider's settings are not valid.", f"{name} is not a list."
        )
    return methods


@dataclass(frozen=True, slots=True)
class Code:
    """What a provider sent back with the person, and what it takes to redeem it."""

    code: str
    verifier: str
    redirect_uri: str


def redeem(
    code: Code,
    *,
    provider: Provider,
    client_id: str,
    secret: str,
    outbound: OutboundClient,
) -> Mapping[str, Any]:
    """Exchange the code for the provider's token answer, a JSON object. Raises OpenIdError."""
    fields = {
        "grant_type": "authorization_code",
        "code": code.code,
        "redirect_uri": code.redirect_uri,
        "code_verifier": code.verifier,
    }
    headers = {}
    if provider.takes_secret_in_header:
        # RFC 6749, 2.3.1.
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        fields |= {"client_id": client_id, "client_secret": secret}
    try:
        answer = outbound.post_form(provider.token_endpoint, fields, headers)
        found = answer.json_object()
    except OutboundError as error:
        raise OpenIdError("The provider did not redeem the code.", error) from None
    if answer.status != HTTPStatus.OK:
        raise OpenIdError(
            "The provider did not redeem the code.", _refusal(answer, found)
        )
    return found


def _refusal(answer: Answer, found: Mapping[str, Any]) -> str:
    error = _text(found, "error")
    code = error if error in TOKEN_ERRORS else "no known error"
    return f"The provider refused the code: {answer.status}, {code}."


def verify_id_token(
    token: object,
    *,
    provider: Provider,
    client_id: str,
    nonce: str,
    outbound: OutboundClient,
) -> Mapping[str, Any]:
    """The claims of an ID token that this provider signed for us, for this sign-in. Raises OpenIdError."""
    if not isinstance(token, str):
        raise OpenIdError("The provider sent no ID token.")
    claims = _signed_claims(
        token, provider=provider, client_id=client_id, outbound=outbound
    )
    if not nonce or claims.get("nonce") != nonce:
        raise OpenIdError("The provider's token is for another sign-in.")
    if claims.get("azp", client_id) != client_id:
        raise OpenIdError("The provider's token is for another application.")
    subject = _text(claims, "sub")
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise OpenIdError("The provider's token is for no one.")
    return claims


def _signed_claims(
    token: str, *, provider: Provider, client_id: str, outbound: OutboundClient
) -> Mapping[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=_signing_key(token, provider.jwks_uri, outbound),
            algorithms=ALGORITHMS,
            audience=client_id,
            issuer=provider.issuer,
            leeway=LEEWAY_SECONDS,
            options={
                "require": ["aud", "exp", "iat", "iss", "sub"],
                "enforce_minimum_key_length": True,
            },
        )
    except OutboundError as error:
        raise OpenIdError("The provider's keys could not be read.", error) from None
    except (jwt.PyJWTError, *BAD_TOKEN) as error:
        raise OpenIdError(
            f"The provider's token is not valid: {type(error).__name__}."
        ) from None
    return claims


def _signing_key(token: str, url: str, outbound: OutboundClient) -> jwt.PyJWK:
    wanted = jwt.get_unverified_header(token).get("kid")
    keys = outbound.get_json(url).get("keys")
    matching = []
    if isinstance(keys, list):
        matching = [key for key in keys if wanted is None or key.get("kid") == wanted]
    if len(matching) != 1:
        raise jwt.InvalidKeyError(
            "No key, or more than one, could have signed the token."
        )
    return jwt.PyJWK(_public_part(matching[0]))


def _public_part(key: Mapping[str, Any]) -> dict[str, Any]:
    """The key without what only its owner needs, and without long numbers. From these, cryptography would compute the
    rest of a private key, for minutes in which no other thread of the process runs."""
    return {
        name: value
        for name, value in key.items()
        if name in PUBLIC_PART and len(str(value)) <= LONGEST_NUMBER
    }


def userinfo(
    token: object, *, provider: Provider, subject: str, outbound: OutboundClient
) -> Mapping[str, Any]:
    """The claims that the provider gives for this access token; none if it has no userinfo. Raises OpenIdError.

    They count only for the subject of the ID token (OpenID Connect Core 1.0, 5.3.2): an access token could be another
    person's.
    """
    if not provider.userinfo_endpoint or not isinstance(token, str):
        return {}
    try:
        claims = outbound.get_json(provider.userinfo_endpoint, token=token)
    except OutboundError as error:
        raise OpenIdError(
            "The provider's userinfo could not be read.", f"Userinfo: {error}"
        ) from None
    if claims.get("sub") != subject:
        raise OpenIdError("The provider's userinfo is about someone else.")
    return claims


def sign_out_url(id_token: str, *, provider: Provider, client_id: str) -> str:
    """The address that ends the person's session at the provider; "" if it has none (RP-Initiated Logout 1.0).

    The person stays there: the provider would refuse an address to return to that is not registered for this.
    """
    if not provider.end_session_endpoint:
        return ""
    fields = {"client_id": client_id}
    if len(id_token) <= LONGEST_HINT:
        fields["id_token_hint"] = id_token
    separator = "&" if urlsplit(provider.end_session_endpoint).query else "?"
    return f"{provider.end_session_endpoint}{separator}{urlencode(fields)}"


def prompt_to_ask_again(issuer: str) -> str:
    """The `prompt` that keeps the provider from signing someone in without a question.

    Google has no "login" (https://developers.google.com/identity/openid-connect/openid-connect, "prompt").
    """
    return "select_account" if issuer == GOOGLE else "login"
