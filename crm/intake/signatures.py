"""Checks who has sent a payload: how each sender signs the raw body, in a table.

As the vendors' public documents had it on 2026-12-04, or in the newest copy that could be read then:

- Standard Webhooks: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md
- Shopify: shopify.dev/docs/apps/build/webhooks, "Verify webhook deliveries"
- Typeform: typeform.com/developers/webhooks/secure-your-webhooks
- Tally: tally.so/help/webhooks, "Add a signing secret"
- Webflow: developers.webflow.com/data/reference/request-signatures; milliseconds, and requests of its apps alone
- Google: developers.google.com/google-ads/webhook/docs/implementation, "google_key"
"""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from crm.models.intake import SignatureKind

FRESH_SECONDS: Final = 300  # before and after the time that the sender has signed
STANDARD_PREFIX: Final = "whsec_"
HEADER: Final = "X-Webhook-Secret"


@dataclass(frozen=True, slots=True)
class Received:
    """A request, and the time at which it came, in seconds since 1970. Names of headers in any case."""

    headers: Mapping[str, str]
    body: bytes
    at: float

    def is_fresh(self, seconds: str) -> bool:
        """True if the sender signed it within FRESH_SECONDS: one that is older may be sent again by someone else."""
        try:
            return abs(self.at - float(seconds)) <= FRESH_SECONDS
        except ValueError:
            return False


def is_signed(kind: str, secret: str, received: Received) -> bool:
    """True if the request has the signature of this kind, made with this secret."""
    return _CHECKS[SignatureKind(kind)](secret, received)


def _digest(secret: bytes, signed: bytes) -> bytes:
    return hmac.digest(secret, signed, "sha256")


def _is_same(expected: str, found: str) -> bool:
    """Compares in a time that doesn't depend on where they differ."""
    return hmac.compare_digest(expected.encode(), found.encode("utf-8", "replace"))


def _base64(secret: str, received: Received) -> str:
    digest = _digest(secret.encode(), received.body)
    return base64.b64encode(digest).decode()


def _standard(secret: str, received: Received) -> bool:
    """`v1,` and the Base64 of the HMAC of id, time and body; a list while the sender changes its secret."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    sent_id, seconds, signatures = (received.headers.get(name, "") for name in names)
    try:
        key = base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except ValueError:
        return False
    signed = f"{sent_id}.{seconds}.".encode() + received.body
    expected = f"v1,{base64.b64encode(_digest(key, signed)).decode()}"
    found = [_is_same(expected, each) for each in signatures.split()]
    return bool(sent_id) and True in found and received.is_fresh(seconds)


def _shopify(secret: str, received: Received) -> bool:
    found = received.headers.get("X-Shopify-Hmac-Sha256", "")
    return _is_same(_base64(secret, received), found)


def _typeform(secret: str, received: Received) -> bool:
    found = received.headers.get("Typeform-Signature", "")
    return _is_same(f"sha256={_base64(secret, received)}", found)


def _tally(secret: str, received: Received) -> bool:
    found = received.headers.get("Tally-Signature", "")
    return _is_same(_base64(secret, received), found)


def _webflow(secret: str, received: Received) -> bool:
    """The HMAC of time and body in hexadecimal. The time is in milliseconds."""
    milliseconds = received.headers.get("X-Webflow-Timestamp", "")
    found = received.headers.get("X-Webflow-Signature", "")
    signed = f"{milliseconds}:".encode() + received.body
    expected = _digest(secret.encode(), signed).hex()
    if not milliseconds.isdecimal():
        return False
    return _is_same(expected, found) and received.is_fresh(milliseconds[:-3])


def _google(secret: str, received: Received) -> bool:
    """The key that the advertiser has set is in the body, next to the fields."""
    try:
        fields = json.loads(received.body)
    except (ValueError, RecursionError):
        return False
    found = fields.get("google_key") if isinstance(fields, dict) else None
    return isinstance(found, str) and _is_same(secret, found)


def _header(secret: str, received: Received) -> bool:
    return _is_same(secret, received.headers.get(HEADER, ""))


_CHECKS: Final[Mapping[SignatureKind, Callable[[str, Received], bool]]] = {
    SignatureKind.STANDARD: _standard,
    SignatureKind.SHOPIFY: _shopify,
    SignatureKind.TYPEFORM: _typeform,
    SignatureKind.TALLY: _tally,
    SignatureKind.WEBFLOW: _webflow,
    SignatureKind.GOOGLE: _google,
    SignatureKind.HEADER: _header,
}
