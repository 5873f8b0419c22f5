"""Tokens, rule ids and ad accounts that make the sandbox answer with an error, and the rules that it lists for others.

The tables are data, so that the command and the sandbox's page list exactly what applies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from capi.linkedin.sandbox.messages import (
    IncomingRequest,
    Reply,
    coded_refusal,
    json_reply,
    refusal,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A part of the token, or a whole id, and the answer that it triggers.

    In the message `[…]` stands for the positions of the elements, and `{}` for the resource. A message about the
    schema is repeated for each element. A `status` of None means no answer. `only_reading` does not affect sending.
    With a `content_type`, the answer is not LinkedIn's, and the message is its whole body.
    """

    trigger: str
    status: int | None
    meaning: str
    message: str = ""
    code: str = ""
    service_error_code: int | None = None
    only_reading: bool = False
    content_type: str = ""


PAGE = "text/html"
HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
THROTTLED = "Resource level throttle APPLICATION_AND_MEMBER {} limit for calls to this resource is reached."
NOT_PERMITTED = "Not enough permissions to access: {}"
SENDING, READING = "conversionEvents.CREATE", "conversions.FINDER-account"

TOKENS: Final = (
    Scenario(
        "revoked",
        401,
        "The token was revoked",
        "The token used in the request has been revoked by the user",
        "REVOKED_ACCESS_TOKEN",
        65601,
    ),
    Scenario(
        "expired",
        401,
        "The token has expired",
        "The token used in the request has expired",
        "EXPIRED_ACCESS_TOKEN",
        65602,
    ),
    Scenario(
        "invalid",
        401,
        "The token is invalid",
        "Invalid access token",
        "INVALID_ACCESS_TOKEN",
        65600,
    ),
    Scenario(
        "norole",
        403,
        "The token's owner has no role in the ad account",
        NOT_PERMITTED,
        "ACCESS_DENIED",
        100,
    ),
    Scenario(
        "sendonly",
        403,
        "The token can send events, but can't read rules",
        NOT_PERMITTED,
        "ACCESS_DENIED",
        100,
        only_reading=True,
    ),
    Scenario(
        "throttled",
        429,
        "Too many requests in this minute",
        THROTTLED.format("MINUTE"),
        "TOO_MANY_REQUESTS",
        101,
    ),
    Scenario(
        "daylimit",
        429,
        "Too many requests today",
        THROTTLED.format("DAY"),
        "TOO_MANY_REQUESTS",
        101,
    ),
    Scenario("broken", 500, "LinkedIn has technical problems", "Internal Server Error"),
    Scenario(
        "unavailable",
        503,
        "LinkedIn is down, with an HTML error page",
        HTML.format("503 Service Unavailable"),
        content_type=PAGE,
    ),
    Scenario(
        "proxied",
        401,
        "A proxy responds instead of LinkedIn",
        HTML.format("401 Unauthorized"),
        content_type=PAGE,
    ),
)

REFUSING_RULES: Final = (
    Scenario(
        "400400",
        400,
        "The rule doesn't use the Conversions API",
        "Conversion's method should be CONVERSIONS_API, indices […] (0-indexed).",
    ),
    Scenario(
        "400401",
        400,
        "The rule is disabled",
        "Conversion is disabled, which counts as deleted, and must be enabled, indices […] (0-indexed).",
    ),
    Scenario(
        "403403",
        403,
        "Unknown rule, or a rule of another ad account",
        "No ad accounts found",
    ),
    Scenario("404404", 404, "No such rule", "Could not find entity"),
    Scenario("408408", None, "No response: the connection hangs, then closes"),
    Scenario(
        "422422",
        422,
        "The data is rejected",
        "ERROR :: /conversion :: conversion does not take this event",
    ),
    Scenario("426426", 426, "The API version is retired"),
    Scenario(
        "429429",
        429,
        "Too many requests in this minute",
        THROTTLED.format("MINUTE"),
        "TOO_MANY_REQUESTS",
        101,
    ),
    Scenario("500500", 500, "LinkedIn has technical problems", "Internal Server Error"),
    Scenario(
        "503503",
        503,
        "LinkedIn is down, with an HTML error page",
        HTML.format("503 Service Unavailable"),
        content_type=PAGE,
    ),
    Scenario(
        "201999",
        201,
        "A network's sign-in page responds instead of LinkedIn",
        HTML.format("Sign in"),
        content_type=PAGE,
    ),
    Scenario(
        "400999",
        400,
        "A gateway responds instead of LinkedIn",
        '{"message": "Bad Request"}',
        content_type="application/json",
    ),
    Scenario(
        "403999",
        403,
        "A firewall responds instead of LinkedIn",
        HTML.format("403 Forbidden"),
        content_type=PAGE,
    ),
)

_BY_RULE: Final = {scenario.trigger: scenario for scenario in REFUSING_RULES}

# Ad accounts that cause an answer when their rules are read. Every other one has LISTED_RULES.
ACCOUNTS: Final = (
    Scenario(
        "403403",
        403,
        "The token's owner has no access to the ad account",
        "No ad accounts found",
    ),
    Scenario("408408", None, "No response: the connection hangs, then closes"),
    Scenario("500500", 500, "LinkedIn has technical problems", "Internal Server Error"),
    Scenario(
        "503503",
        503,
        "LinkedIn is down, with an HTML error page",
        HTML.format("503 Service Unavailable"),
        content_type=PAGE,
    ),
)

_BY_ACCOUNT: Final = {scenario.trigger: scenario for scenario in ACCOUNTS}


def for_account(account_id: str) -> Scenario | None:
    """The answer to reading the rules of this ad account, None for a list of rules."""
    return _BY_ACCOUNT.get(account_id)


def for_token(token: str, *, is_reading: bool = False) -> Scenario | None:
    """The answer for this token, None for a good one."""
    fitting = (
        scenario for scenario in TOKENS if is_reading or not scenario.only_reading
    )
    return next((scenario for scenario in fitting if scenario.trigger in token), None)


def for_rules(rule_ids: Sequence[str]) -> Scenario | None:
    """The answer for the first rule id that has one, None if all are good."""
    return next(
        (_BY_RULE[rule_id] for rule_id in rule_ids if rule_id in _BY_RULE), None
    )


def reply(
    scenario: Scenario,
    positions: Sequence[int] = (),
    *,
    is_batch: bool = False,
    is_reading: bool = False,
) -> Reply:
    """The reply of a scenario, about the elements at these positions."""
    if scenario.status is None:
        return Reply(None)
    if scenario.content_type:
        return Reply(
            scenario.status,
            scenario.message.encode(),
            {"Content-Type": scenario.content_type},
        )
    if scenario.code:
        message = scenario.message.replace("{}", READING if is_reading else SENDING)
        return coded_refusal(
            scenario.status, scenario.code, message, scenario.service_error_code
        )
    if scenario.status == 422:
        return refusal(
            422,
            "".join(f"{prefix(at, is_batch)}{scenario.message}\n" for at in positions),
        )
    return refusal(
        scenario.status, scenario.message.replace("[…]", str(list(positions)))
    )


def prefix(position: int, is_batch: bool) -> str:
    """The prefix of a schema error: the position in a batch, nothing for a single event."""
    return f"Index: {position}, " if is_batch else ""


# The conversion rules of an ad account, as `GET /rest/conversions?q=account` lists them.

ACCOUNT_PREFIX: Final = "urn:li:sponsoredAccount:"
MANY: Final = "250250"  # the ad account that has 250 rules

API, URL, SCRIPT = (
    "CONVERSIONS_API",
    "INSIGHT_TAG_URL_MATCH_RULES",
    "INSIGHT_TAG_JAVASCRIPT_EVENT",
)
# 400400 and 400401 are also in REFUSING_RULES: the sandbox refuses their events.
LISTED_RULES: Final = (
    (104011, "Lead form sent", "LEAD", API, True),
    (104012, "Qualified lead", "QUALIFIED_LEAD", API, True),
    (104013, "Offer requested", "OTHER", API, True),
    (104014, "Purchase", "PURCHASE", API, True),
    (104015, "Deal lost (attribution only)", "OTHER", API, True),
    (104016, "Webinar sign-up", "SIGN_UP", API, True),
    (104017, "Newsletter", "SUBSCRIBE", API, True),
    (104018, "Demo booked", "BOOK_APPOINTMENT", API, True),
    (400400, "Thank-you page", "KEY_PAGE_VIEW", URL, True),
    (400401, "Purchase, old", "PURCHASE", API, False),
    (104021, "Download button", "DOWNLOAD", SCRIPT, True),
    (104022, "Brochure, old", "DOWNLOAD", SCRIPT, False),
)


def rules_answer(request: IncomingRequest) -> Reply:
    """The requested page of rules. The request has passed `validation.refusal_at_the_door`."""
    raw_query = request.path.partition("?")[2]
    query = dict(parse_qsl(raw_query, keep_blank_values=True))
    account = _account(raw_query)
    if query.get("q") != "account" or account is None:
        return refusal(400, "Invalid query parameters passed to request")
    scenario = for_account(account)
    if scenario:
        return reply(scenario, is_reading=True)
    start, count = (
        _number(query.get("start", "0")),
        _number(query.get("count", str(10))),
    )
    if start is None or not count:
        return refusal(400, "Invalid query parameters passed to request")
    fields = query["fields"].split(",") if "fields" in query else None
    page = [
        _shown(rule, account, fields)
        for rule in list(_rules_of(account))[start : start + count]
    ]
    return json_reply(
        200,
        {
            "paging": {"start": start, "count": count, "links": [], "total": -1},
            "elements": page,
        },
    )


def _account(raw_query: str) -> str | None:
    """The account id. Rest.li accepts a URN in a query only with its colons encoded."""
    texts = [
        part.removeprefix("account=")
        for part in raw_query.split("&")
        if part.startswith("account=")
    ]
    if len(texts) != 1 or ":" in texts[0]:
        return None
    urn = unquote(texts[0])
    account = urn.removeprefix(ACCOUNT_PREFIX)
    return account if urn.startswith(ACCOUNT_PREFIX) and _number(account) else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _rules_of(account: str) -> Iterator[tuple[int, str, str, str, bool]]:
    if account != MANY:
        yield from LISTED_RULES
        return
    for number in range(250):
        _, name, kind, method, enabled = LISTED_RULES[number % len(LISTED_RULES)]
        yield 200001 + number, f"{name} {number + 1}", kind, method, enabled


def _shown(
    rule: tuple[int, str, str, str, bool], account: str, fields: Sequence[str] | None
) -> dict[str, Any]:
    number, name, kind, method, enabled = rule
    content = {
        "account": ACCOUNT_PREFIX + account,
        "attributionType": "LAST_TOUCH_BY_CAMPAIGN",
        "campaigns": [],
        "conversionMethod": method,
        "enabled": enabled,
        "id": number,
        "name": name,
        "postClickAttributionWindowSize": 30,
        "type": kind,
        "viewThroughAttributionWindowSize": 7,
    }
    return {
        key: value for key, value in content.items() if fields is None or key in fields
    }
