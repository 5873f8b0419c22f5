"""Requests to the sandbox, as a correct client writes them, and ways to spoil them."""

import json
from datetime import UTC, datetime, timedelta

from capi.linkedin.sandbox.messages import IncomingRequest
from capi.linkedin.sandbox.validation import answer_to

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PATH = "/rest/conversionEvents"
EMAIL = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"
HEADERS = {
    "Authorization": "Bearer AQXgood-token_1",
    "Content-Type": "application/json",
    "LinkedIn-Version": "202609",
    "X-Restli-Protocol-Version": "2.0.0",
}


def milliseconds(moment):
    return int(moment.timestamp() * 1000)


def event(**changes):
    """A valid conversion event. A change to None leaves the field out."""
    fields = {
        "conversion": "urn:lla:llaPartnerConversion:104012",
        "conversionHappenedAt": milliseconds(NOW - timedelta(hours=1)),
        "eventId": "lm-deal_won-7f0c2c1e",
        "conversionValue": {"currencyCode": "EUR", "amount": "1250.00"},
        "user": {"userIds": [{"idType": "SHA256_EMAIL", "idValue": EMAIL}]},
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def rule(rule_id):
    return event(conversion=f"urn:lla:llaPartnerConversion:{rule_id}")


def headers(**changes):
    """Valid headers; `linkedin_version=None` leaves one out."""
    changed = {name.replace("_", "-").lower(): value for name, value in changes.items()}
    merged = {name.lower(): value for name, value in HEADERS.items()} | changed
    return {name: value for name, value in merged.items() if value is not None}


def received(content, *, method="POST", path=PATH, **changes):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return IncomingRequest(
        method, path, headers(**{"content_length": str(len(body))} | changes), body
    )


def send(content, **changes):
    """What the sandbox answers to one event."""
    return answer_to(received(content, **changes), now=NOW)


def send_batch(*elements, **changes):
    """What the sandbox answers to a batch of events."""
    return send({"elements": list(elements)}, x_restli_method="BATCH_CREATE", **changes)


def answer(reply):
    """Status and JSON of a reply; None for an empty body."""
    return reply.status, json.loads(reply.body) if reply.body else None
