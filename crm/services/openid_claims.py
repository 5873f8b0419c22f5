"""Which e-mail address a provider vouches for, and if it vouches for none, why.

The standard's claims are `email` and `email_verified` (OpenID Connect Core 1.0, 5.1). Two providers differ:

- Google: anyone can have an account with a company's address, even after leaving. `hd` names the Workspace that manages
  the account (https://developers.google.com/identity/openid-connect/openid-connect, "hd"); Gmail's addresses have none.
- Microsoft Entra has no `email_verified`, and any administrator of any tenant can write any address into `email`. The
  optional claim `xms_edov` says whether the owner of the address's domain was verified
  (https://learn.microsoft.com/entra/identity-platform/optional-claims-reference). Its userinfo has less than its ID
  token (https://learn.microsoft.com/entra/identity-platform/userinfo).

Okta sends a thin ID token with an access token: `email` is in it, and `email_verified` in userinfo alone
(https://support.okta.com/help/s/article/Okta-Groups-or-Attribute-Missing-from-Id-Token).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

LONGEST_ADDRESS: Final = 254  # characters of an e-mail address
GOOGLE: Final = "https://accounts.google.com"
MICROSOFT: Final = "https://login.microsoftonline.com/"


class Doubt(Enum):
    """Why a provider vouches for no address: `reason` is for the log, `advice` for the person."""

    NO_ADDRESS = (
        "The claim email is missing or no address.",
        "{name} sends no e-mail address for you. Ask an admin: it has to send the claim email.",
    )
    NOT_SAID = (
        "The claim email_verified is missing.",
        "{name} doesn't say whether your e-mail address was checked. Ask an admin: it has to send the claim "
        "email_verified.",
    )
    NOT_VERIFIED = (
        "The claim email_verified is not true.",
        "{name} says that your e-mail address is not confirmed. Confirm it there, then try again.",
    )
    NOT_OF_WORKSPACE = (
        "The claim hd is not the domain of the address.",
        "Your account at {name} is not managed by your company. Sign in with your Google Workspace account.",
    )
    DOMAIN_NOT_SAID = (
        "The claim xms_edov is missing.",
        "{name} doesn't say whether your e-mail address was checked. Ask an admin to add the optional claims email and "
        "xms_edov to the ID token: Entra ID, App registrations, Token configuration.",
    )
    DOMAIN_NOT_VERIFIED = (
        "The claim xms_edov is not true.",
        "{name} says that the domain of your e-mail address is not verified. Ask an admin to add it in Entra ID under "
        "Domain names.",
    )

    @property
    def reason(self) -> str:
        return self.value[0]

    def advice(self, name: str) -> str:
        return self.value[1].format(name=name)


def vouched_address(claims: Mapping[str, Any], *, issuer: str) -> str | Doubt:
    """The e-mail address that the provider has checked, in lower case, or why there is none."""
    email = _text(claims.get("email")).strip().lower()
    if not _is_address(email):
        return Doubt.NO_ADDRESS
    if issuer.startswith(MICROSOFT):
        return _by_microsoft(email, claims.get("xms_edov"))
    if claims.get("email_verified") is None:
        return Doubt.NOT_SAID
    if claims["email_verified"] is not True:
        return Doubt.NOT_VERIFIED
    domain = email.rpartition("@")[2]
    if issuer == GOOGLE and domain != "gmail.com" and claims.get("hd") != domain:
        return Doubt.NOT_OF_WORKSPACE
    return email


def _is_address(text: str) -> bool:
    is_plain = text.isascii() and text.isprintable()
    return is_plain and "@" in text and len(text) <= LONGEST_ADDRESS


def _text(claim: object) -> str:
    return claim if isinstance(claim, str) else ""


def _by_microsoft(email: str, is_verified: object) -> str | Doubt:
    if is_verified is None:
        return Doubt.DOMAIN_NOT_SAID
    return email if is_verified in (True, 1, "1", "true") else Doubt.DOMAIN_NOT_VERIFIED


def may_say_more(claims: Mapping[str, Any], *, issuer: str) -> bool:
    """True if userinfo may have what the ID token lacks (OpenID Connect Core 1.0, 5.4)."""
    is_complete = {"email", "email_verified"} <= claims.keys()
    return not is_complete and not issuer.startswith(MICROSOFT)


def names_of(claims: Mapping[str, Any]) -> tuple[str, str]:
    """The person's first and last name; "" for one that is missing."""
    return _text(claims.get("given_name")), _text(claims.get("family_name"))
