"""The conversion rules of an ad account, as `GET /rest/conversions?q=account` lists them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from capi.linkedin.sandbox import scenarios
from capi.linkedin.sandbox.messages import Received, Reply, json_reply, refusal

ACCOUNT_PREFIX: Final = "urn:li:sponsoredAccount:"
DEFAULT_COUNT: Final = 10
MANY: Final = "250250"  # the ad account that has 250 rules

API, URL, SCRIPT = "CONVERSIONS_API", "INSIGHT_TAG_URL_MATCH_RULES", "INSIGHT_TAG_JAVASCRIPT_EVENT"
# 400400 and 400401 are also in `scenarios.REFUSING_RULES`: the sandbox refuses their events.
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


def rules_answer(request: Received) -> Reply:
    """The requested page of rules. The request has passed `validation.refusal_at_the_door`."""
    raw_query = request.path.partition("?")[2]
    query = dict(parse_qsl(raw_query, keep_blank_values=True))
    account = _account(raw_query)
    if query.get("q") != "account" or account is None:
        return refusal(400, "Invalid query parameters passed to request")
    choice = scenarios.for_account(account)
    if choice:
        return scenarios.reply(choice, is_reading=True)
    start, count = _number(query.get("start", "0")), _number(query.get("count", str(DEFAULT_COUNT)))
    if start is None or not count:
        return refusal(400, "Invalid query parameters passed to request")
    fields = query["fields"].split(",") if "fields" in query else None
    page = [_shown(rule, account, fields) for rule in list(_rules_of(account))[start : start + count]]
    return json_reply(200, {"paging": {"start": start, "count": count, "links": [], "total": -1}, "elements": page})


def _account(raw_query: str) -> str | None:
    """The account id. Rest.li accepts a URN in a query only with its colons encoded."""
    texts = [part.removeprefix("account=") for part in raw_query.split("&") if part.startswith("account=")]
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


def _shown(rule: tuple[int, str, str, str, bool], account: str, fields: Sequence[str] | None) -> dict[str, Any]:
    number, name, kind, method, enabled = rule
    content = {
        "account": ACCOUNT_PREFIX + account, "attributionType": "LAST_TOUCH_BY_CAMPAIGN", "campaigns": [],
        "conversionMethod": method, "enabled": enabled, "id": number, "name": name,
        "postClickAttributionWindowSize": 30, "type": kind, "viewThroughAttributionWindowSize": 7,
    }  # fmt: skip
    return {key: value for key, value in content.items() if fields is None or key in fields}
