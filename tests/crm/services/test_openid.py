"""S51: which address a provider vouches for, and which addresses a provider may name."""

import pytest

from crm.services.openid import vouched_address
from crm.services.outbound import is_safe_address

pytestmark = pytest.mark.covers("S51")

OKTA, GOOGLE = "https://acme.okta.com", "https://accounts.google.com"
MICROSOFT = "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000/v2.0"
ADA = {"email": "Ada@Example.com", "email_verified": True}


@pytest.mark.parametrize(
    ("issuer", "claims", "address"),
    [
        (OKTA, ADA, "ada@example.com"),
        (OKTA, {**ADA, "email_verified": "true"}, ""),
        (OKTA, {"email": "ada@example.com"}, ""),
        (OKTA, {**ADA, "email": "ada"}, ""),
        # An account with a company's address that the company doesn't run
        (GOOGLE, ADA, ""),
        (GOOGLE, {**ADA, "hd": "other.example"}, ""),
        (GOOGLE, {**ADA, "hd": "example.com"}, "ada@example.com"),
        (GOOGLE, {"email": "ada@gmail.com", "email_verified": True}, "ada@gmail.com"),
        (GOOGLE, {"email": "ada@gmail.com", "email_verified": False}, ""),
        # An address that an administrator typed
        (MICROSOFT, ADA, ""),
        (MICROSOFT, {**ADA, "xms_edov": False}, ""),
        (MICROSOFT, {**ADA, "xms_edov": "0"}, ""),
        (MICROSOFT, {"email": "ada@example.com", "xms_edov": True}, "ada@example.com"),
        (MICROSOFT, {"email": "ada@example.com", "xms_edov": "1"}, "ada@example.com"),
        # Only Microsoft's own word counts as Microsoft's
        ("https://login.microsoftonline.com.evil.example/v2.0", {"email": "ada@example.com", "xms_edov": True}, ""),
    ],
)
def test_an_address_counts_only_where_the_provider_has_checked_it(issuer, claims, address):
    assert vouched_address(claims, issuer=issuer) == address


@pytest.mark.parametrize("address", ["", "https://", "http://example.com", "javascript:alert(1)", "https://a@x.com"])
def test_an_address_that_is_not_https_is_not_safe(settings, address):
    settings.OUTBOUND_TO_LOOPBACK = False

    assert is_safe_address("https://example.com/path")
    assert not is_safe_address(address)
    assert not is_safe_address("http://127.0.0.1:8000")
