"""S51: which address a provider vouches for, and which addresses a provider may name."""

import pytest

from crm.services.openid_claims import Doubt, may_say_more, vouched_address
from crm.services.outbound import is_safe_address

pytestmark = pytest.mark.covers("S51")

OKTA, GOOGLE = "https://acme.okta.com", "https://accounts.google.com"
MICROSOFT = (
    "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000/v2.0"
)
ADA = {"email": "Ada@Example.com", "email_verified": True}
# As documented for the ID tokens of version 2.0, with the optional claim `email`
ENTRA = {
    "ver": "2.0", "tid": "00000000-0000-4000-8000-000000000000", "oid": "00000000-0000-0000-66f3-3332eca7ea81",
    "name": "Ada Lovelace", "preferred_username": "ada@example.com", "email": "ada@example.com",
}  # fmt: skip


@pytest.mark.parametrize(
    ("issuer", "claims", "address"),
    [
        (OKTA, ADA, "ada@example.com"),
        (OKTA, {**ADA, "email_verified": "true"}, Doubt.NOT_VERIFIED),
        (OKTA, {**ADA, "email_verified": False}, Doubt.NOT_VERIFIED),
        (OKTA, {"email": "ada@example.com"}, Doubt.NOT_SAID),
        (OKTA, {"email_verified": True}, Doubt.NO_ADDRESS),
        (OKTA, {**ADA, "email": "ada"}, Doubt.NO_ADDRESS),
        # An account with a company's address that the company doesn't run
        (GOOGLE, ADA, Doubt.NOT_OF_WORKSPACE),
        (GOOGLE, {**ADA, "hd": "other.example"}, Doubt.NOT_OF_WORKSPACE),
        (GOOGLE, {**ADA, "hd": "example.com"}, "ada@example.com"),
        (GOOGLE, {"email": "ada@gmail.com", "email_verified": True}, "ada@gmail.com"),
        (
            GOOGLE,
            {"email": "ada@gmail.com", "email_verified": False},
            Doubt.NOT_VERIFIED,
        ),
        # An address that an administrator typed
        (MICROSOFT, ENTRA, Doubt.DOMAIN_NOT_SAID),
        (MICROSOFT, {**ENTRA, **ADA}, Doubt.DOMAIN_NOT_SAID),
        (MICROSOFT, {**ENTRA, "xms_edov": False}, Doubt.DOMAIN_NOT_VERIFIED),
        (MICROSOFT, {**ENTRA, "xms_edov": "0"}, Doubt.DOMAIN_NOT_VERIFIED),
        (MICROSOFT, {**ENTRA, "xms_edov": True}, "ada@example.com"),
        (MICROSOFT, {**ENTRA, "xms_edov": "1"}, "ada@example.com"),
        (MICROSOFT, {**ENTRA, "email": None, "xms_edov": True}, Doubt.NO_ADDRESS),
        # Only Microsoft's own word counts as Microsoft's
        (
            "https://login.microsoftonline.com.evil.example/v2.0",
            {**ENTRA, "xms_edov": True},
            Doubt.NOT_SAID,
        ),
    ],
)
def test_an_address_counts_only_where_the_provider_has_checked_it(
    issuer, claims, address
):
    assert vouched_address(claims, issuer=issuer) == address


@pytest.mark.parametrize("doubt", Doubt)
def test_a_doubt_says_which_claim_and_what_to_do(doubt):
    assert doubt.reason.startswith("The claim ")
    assert doubt.advice("Our Okta").count("Our Okta") == 1


@pytest.mark.parametrize(
    ("issuer", "claims", "is_asked"),
    [
        (OKTA, {}, True),
        (OKTA, {"email": "ada@example.com"}, True),
        (OKTA, {"email": "ada@example.com", "email_verified": False}, False),
        (GOOGLE, ADA, False),
        # Its ID token has all that its userinfo has.
        (MICROSOFT, ENTRA, False),
    ],
)
def test_userinfo_is_asked_for_what_the_token_lacks(issuer, claims, is_asked):
    assert may_say_more(claims, issuer=issuer) == is_asked


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://",
        "http://example.com",
        "javascript:alert(1)",
        "https://a@x.com",
        "https://x.com/#a",
    ],
)
def test_an_address_that_is_not_https_is_not_safe(settings, address):
    settings.OUTBOUND_TO_LOOPBACK = False

    assert is_safe_address("https://example.com/path")
    assert not is_safe_address(address)
    assert not is_safe_address("http://127.0.0.1:8000")
