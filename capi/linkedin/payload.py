"""The JSON of a conversion: these keys and no others.

LinkedIn answers an unknown key with 422, and people have a right to nothing else being sent. So the element is built
from a whitelist, never from whatever columns a row has.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json.encoder import encode_basestring_ascii as json_text
from typing import Any, NamedTuple

EVENT_ID_MAX_LENGTH = 64
SHORTEST_ELEMENT_BYTES = 200  # with ids of one character and no value it has 207

_ENVELOPE = '{"elements":[]}'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_IS_LINKEDIN_ID = re.compile(r"[1-9][0-9]{0,18}")
_IS_HASH = re.compile(r"[0-9a-f]{64}")


class Conversion(NamedTuple):
    """One conversion, ready to send.

    `linkedin_id` is the bare rule id, `happened_at` an aware datetime. `amount` and `currency` (ISO 4217) are set
    only if the rule sends a value.
    """

    linkedin_id: str
    happened_at: datetime
    event_id: str
    email_sha256: str
    amount: Decimal | None = None
    currency: str = ""


def build(conversion: Conversion) -> dict[str, Any]:
    """The element as LinkedIn documents it (Microsoft Learn, "Conversions API", streaming conversion events).

    The time is in epoch milliseconds, rounded down so that it is never in the future. The amount is a decimal string
    with two places.
    """
    element: dict[str, Any] = {
        "conversion": f"urn:lla:llaPartnerConversion:{conversion.linkedin_id}",
        "conversionHappenedAt": _milliseconds(conversion.happened_at),
        "eventId": conversion.event_id,
    }
    if conversion.amount is not None and conversion.currency:
        element["conversionValue"] = {
            "currencyCode": conversion.currency,
            "amount": _plain(conversion.amount),
        }
    element["user"] = {
        "userIds": [{"idType": "SHA256_EMAIL", "idValue": conversion.email_sha256}]
    }
    return element


def encode(conversions: Sequence[Conversion]) -> bytes:
    """The request's body: the bare element for one conversion, `{"elements":[…]}` for more.

    Compact, and always the same bytes for the same conversions, so that a retry repeats what was sent.
    """
    if len(conversions) == 1:
        return _element(conversions[0]).encode()
    return f'{{"elements":[{",".join(map(_element, conversions))}]}}'.encode()


def fitting(conversions: Sequence[Conversion], *, limit: int) -> int:
    """How many of these, from the first on, fit into a body of `limit` bytes; at least one, however long it is."""
    left = limit - len(_ENVELOPE)
    for count, conversion in enumerate(conversions):
        left -= len(_element(conversion)) + 1  # with its comma
        if left < -1:  # the last one has no comma
            return max(1, count)
    return len(conversions)


def most_in(limit: int) -> int:
    """How many conversions fit into a body of `limit` bytes if all are as short as possible; at least one."""
    return max(1, limit // SHORTEST_ELEMENT_BYTES)


def problem(conversion: Conversion, *, now: datetime, max_age: timedelta) -> str | None:
    """Why LinkedIn would refuse this conversion, or None. For one bad element, LinkedIn refuses the whole batch."""
    if not _IS_LINKEDIN_ID.fullmatch(conversion.linkedin_id):
        return "The LinkedIn rule id is not a number."
    if not _IS_HASH.fullmatch(conversion.email_sha256):
        return "The e-mail hash is not 64 lower-case hex digits."
    if not 0 < len(conversion.event_id) <= EVENT_ID_MAX_LENGTH:
        return f"The event id is empty or longer than {EVENT_ID_MAX_LENGTH} characters."
    if conversion.happened_at > now:
        return "The conversion is in the future."
    if conversion.happened_at < now - max_age:
        return f"The conversion is older than {max_age.days} days."
    if conversion.amount is not None and not conversion.amount.is_finite():
        return "The amount is not a number."
    return None


def _element(conversion: Conversion) -> str:
    # json.dumps(build(…)) written out: a batch has 5,000 of these. A test checks that both are equal.
    value = ""
    if conversion.amount is not None and conversion.currency:
        value = (
            f'"conversionValue":{{"currencyCode":{json_text(conversion.currency)},'
            f'"amount":"{_plain(conversion.amount)}"}},'
        )
    return (
        f'{{"conversion":{json_text("urn:lla:llaPartnerConversion:" + conversion.linkedin_id)},'
        f'"conversionHappenedAt":{_milliseconds(conversion.happened_at)},'
        f'"eventId":{json_text(conversion.event_id)},{value}'
        f'"user":{{"userIds":[{{"idType":"SHA256_EMAIL","idValue":{json_text(conversion.email_sha256)}}}]}}}}'
    )


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _plain(amount: Decimal) -> str:
    return format(amount, ".2f")  # as the CRM stores it; str() would write 1E+3
