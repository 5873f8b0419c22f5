"""LinkedIn's answer to a request. Pure: the time is an argument.

A batch is all or nothing: for one bad element the whole batch is refused, and the answer names the bad ones.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from capi.linkedin import versions
from capi.linkedin.sandbox import scenarios, schema
from capi.linkedin.sandbox.messages import (
    IncomingRequest,
    Reply,
    coded_refusal,
    gateway_refusal,
    json_reply,
    refusal,
)

MAX_ELEMENTS: Final = 5_000
MAX_AGE: Final = timedelta(days=90)
LEAD_ALONE_SINCE: Final = "202605"


def answer_to(request: IncomingRequest, *, now: datetime) -> Reply:
    """The answer to `request` at `now` (aware)."""
    refused = refusal_at_the_door(request, now.date())
    if refused:
        return refused
    if is_about_rules(request):
        return scenarios.rules_answer(request)
    try:
        document = request.document
    except ValueError:
        return refusal(400, "Cannot parse request entity")
    if request.is_batch:
        return _answer_batch(request, document, now)
    return _answer_elements(request, [document], now)


def _answer_batch(request: IncomingRequest, document: Any, now: datetime) -> Reply:
    if (
        type(document) is not dict
        or type(document.get("elements")) is not list
        or len(document) != 1
    ):
        return refusal(
            400, 'A batch is an object with the one field "elements", an array'
        )
    elements = document["elements"]
    if not elements:
        return refusal(400, "The batch holds no elements")
    if len(elements) > MAX_ELEMENTS:
        return refusal(
            400, f"The batch holds {len(elements)} elements, more than {MAX_ELEMENTS}"
        )
    return _answer_elements(request, elements, now)


def _answer_elements(
    request: IncomingRequest, elements: Sequence[Any], now: datetime
) -> Reply:
    return (
        _against_schema(request, elements)
        or _without_identifier(elements, request.version)
        or _outside_time(elements, now)
        or _by_scenario(request, elements)
        or _accept(request, elements)
    )


def _against_schema(request: IncomingRequest, elements: Iterable[Any]) -> Reply | None:
    errors = ""
    for position, element in enumerate(elements):
        for error in schema.errors(element, request.version):
            errors += scenarios.prefix(position, request.is_batch) + error
    return refusal(422, errors) if errors else None


def _without_identifier(elements: Iterable[Any], version: str) -> Reply | None:
    bad = [
        at
        for at, element in enumerate(elements)
        if not _identifies_a_person(element["user"], version)
    ]
    message = (
        f"User identification is missing or incomplete, indices {bad} (0-indexed)."
    )
    if bad:
        return coded_refusal(400, "INVALID_USER_IDENTIFICATION_FIELD_VALUE", message)
    return None


def _identifies_a_person(user: dict[str, Any], version: str) -> bool:
    names = user.get("userInfo", {})
    if ("firstName" in names) != ("lastName" in names):
        return False
    lead_is_enough = "lead" in user and version >= LEAD_ALONE_SINCE
    return bool(
        user["userIds"]
        or user.get("externalIds")
        or lead_is_enough
        or "firstName" in names
    )


def _outside_time(elements: Iterable[Any], now: datetime) -> Reply | None:
    latest, earliest = _epoch_ms(now), _epoch_ms(now - MAX_AGE)
    times = enumerate(element["conversionHappenedAt"] for element in elements)
    bad = [at for at, time in times if not earliest <= time <= latest]
    message = f"Conversion time should be within 90 days and not exceed current time, indices {bad} (0-indexed)."
    return refusal(400, message) if bad else None


def _epoch_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _by_scenario(request: IncomingRequest, elements: Sequence[Any]) -> Reply | None:
    rule_ids = [
        element["conversion"].removeprefix(schema.CONVERSION_PREFIX)
        for element in elements
    ]
    scenario = scenarios.for_rules(rule_ids)
    if scenario is None:
        return None
    if scenario.status == 426:
        return retired(request.version)
    positions = [
        at for at, rule_id in enumerate(rule_ids) if rule_id == scenario.trigger
    ]
    return scenarios.reply(scenario, positions, is_batch=request.is_batch)


def _accept(request: IncomingRequest, elements: Sequence[Any]) -> Reply:
    if request.is_batch:
        return json_reply(200, {"elements": [{"status": 201}] * len(elements)})
    # An internal id, of no use to the caller.
    number = int.from_bytes(hashlib.sha256(request.body).digest()[:6])
    return Reply(201, b"", {"Location": f"/conversionEvents/{number}"})


# --- The checks before an endpoint: version, token, address, method, content type.

PATH = "/rest/conversionEvents"


def refusal_at_the_door(request: IncomingRequest, today: date) -> Reply | None:
    """The refusal of a request before it reaches an endpoint, None if it may pass."""
    return (
        _without_length(request)
        or _wrong_version(request.version, today)
        or _wrong_token(request)
        or _wrong_address(request)
        or _wrong_content(request)
    )


def is_about_rules(request: IncomingRequest) -> bool:
    """True for the other endpoint: the list of an account's conversion rules."""
    return request.path.partition("?")[0] == "/rest/conversions"


def retired(version: str) -> Reply:
    """The answer to a version that was switched off, or never existed."""
    day = "01" if versions.is_well_formed(version) else ""
    return gateway_refusal(
        426, "NONEXISTENT_VERSION", f"Requested version {version}{day} is not active"
    )


def _without_length(request: IncomingRequest) -> Reply | None:
    if request.method != "POST" or "content-length" in request.headers:
        return None
    return refusal(411, "Content-Length is required")


def _wrong_version(version: str, today: date) -> Reply | None:
    if not version:
        message = "A version must be present. Please specify a version by adding the LinkedIn-Version header."
        return gateway_refusal(400, "VERSION_MISSING", message)
    last_day = versions.sunset(version) if versions.is_known(version) else None
    return None if last_day and today < last_day else retired(version)


def _wrong_token(request: IncomingRequest) -> Reply | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if not credentials.strip():
        return coded_refusal(401, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token")
    if scheme.lower() != "bearer" or not _is_token(request.token):
        return coded_refusal(401, "INVALID_ACCESS_TOKEN", "Invalid access token", 65600)
    is_reading = is_about_rules(request)
    scenario = scenarios.for_token(request.token, is_reading=is_reading)
    return scenarios.reply(scenario, is_reading=is_reading) if scenario else None


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _wrong_address(request: IncomingRequest) -> Reply | None:
    if request.path != PATH and not is_about_rules(request):
        return coded_refusal(404, "RESOURCE_NOT_FOUND", "No virtual resource found")
    if request.method != ("GET" if is_about_rules(request) else "POST"):
        return refusal(405, f"Method {request.method} is not allowed here")
    return None


def _wrong_content(request: IncomingRequest) -> Reply | None:
    if is_about_rules(request):
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return refusal(415, f"Content type {kind or 'none'} is not supported")
    if request.headers.get("x-restli-method", "CREATE").upper() not in {
        "CREATE",
        "BATCH_CREATE",
    }:
        return refusal(400, "X-RestLi-Method is neither CREATE nor BATCH_CREATE")
    return None
