"""Reads the conversion rules of an ad account, if the access token may.

`GET /rest/conversions?q=account` (Microsoft Learn, "Conversions API", and LinkedIn's Postman collection). Whether a
Direct API token may read at all is documented nowhere. So a 403 is not an error, but `CANNOT_TELL`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Any, Final

from capi.linkedin.client import Client
from capi.linkedin.decisions import Answer, TransportError
from capi.linkedin.parsing import (
    ApiMessage,
    api_message,
    code,
    is_linkedins_error,
    json_object,
    printable,
)

API_METHOD: Final = "CONVERSIONS_API"
PAGE_SIZE: Final = 100
MAX_PAGES: Final = 20
MAX_NAME_LENGTH: Final = 120
NO_MESSAGE: Final = ApiMessage("", "")

# Without `fields` each rule would list its campaigns too, and a page might exceed the client's 1 MB.
_TARGET = (
    "/rest/conversions?q=account&account=urn%3Ali%3AsponsoredAccount%3A{account}"
    "&start={start}&count={count}&fields=id,name,type,conversionMethod,enabled"
)
_IS_ID = re.compile(r"[1-9][0-9]{0,18}")
_IS_SYMBOL = re.compile(r"[A-Z][A-Z0-9_]{0,39}")


class ReadStatus(StrEnum):
    """The result of reading an account's rules."""

    FOUND = "found"
    # 403: the token may send but not read, or LinkedIn knows no such account.
    CANNOT_TELL = "cannot_tell"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - 401
    VERSION_RETIRED = "version_retired"  # 426
    REFUSED = "refused"  # any other 4xx
    SERVER_TROUBLE = "server_trouble"  # 429, 5xx
    UNREACHABLE = "unreachable"  # no answer, or not in time
    UNREADABLE = "unreadable"  # the answer is not a list of rules, or not LinkedIn's


@dataclass(frozen=True, slots=True)
class LinkedInRule:
    """A conversion rule in Campaign Manager. `type` and `method` are LinkedIn's symbols, "" if unreadable."""

    id: str
    name: str
    type: str
    method: str
    enabled: bool

    @property
    def takes_events(self) -> bool:
        """True if it accepts events: it is enabled, and its source is the Conversions API."""
        return self.enabled and self.method == API_METHOD


@dataclass(frozen=True, slots=True)
class RulesRead:
    """The rules in LinkedIn's order (only with FOUND), and the last answer's message and headers.

    `is_whole` is False if the account has more rules than fit on MAX_PAGES pages.
    """

    outcome: ReadStatus
    rules: tuple[LinkedInRule, ...] = ()
    is_whole: bool = True
    api_message: ApiMessage = NO_MESSAGE
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_rules(
    client: Client, *, token: str, ad_account_id: str, seconds: float
) -> RulesRead:
    """Read all rules of the account, page by page, within `seconds` in total.

    Raises nothing, whatever the network or LinkedIn does, except ValueError as `Client.get` does.
    """
    ends_at = monotonic() + seconds
    found: dict[str, LinkedInRule] = {}
    start, answer = 0, None
    for _ in range(MAX_PAGES):
        left = ends_at - monotonic()
        if left <= 0:
            return RulesRead(ReadStatus.UNREACHABLE)
        target = _TARGET.format(account=ad_account_id, start=start, count=PAGE_SIZE)
        answer = client.get(token=token, target=target, seconds=left)
        page = _page(answer)
        if isinstance(page, ReadStatus):
            return RulesRead(
                page, api_message=api_message(answer), headers=answer.headers
            )
        known = len(found)
        found |= {rule.id: rule for rule in page.rules}
        # A server that repeats its first page would never end.
        if page.is_last or len(found) == known:
            return RulesRead(
                ReadStatus.FOUND, tuple(found.values()), headers=answer.headers
            )
        start += page.length
    assert answer
    return RulesRead(
        ReadStatus.FOUND, tuple(found.values()), is_whole=False, headers=answer.headers
    )


@dataclass(frozen=True, slots=True)
class _Page:
    rules: list[LinkedInRule]
    length: int
    is_last: bool


def _page(answer: Answer) -> _Page | ReadStatus:
    if answer.trouble is not None:
        is_silent = answer.trouble in (
            TransportError.TIMED_OUT,
            TransportError.UNREACHABLE,
        )
        return ReadStatus.UNREACHABLE if is_silent else ReadStatus.UNREADABLE
    if answer.status != 200:
        return _refusal(answer)
    content = json_object(answer.body)
    elements = content.get("elements")
    if not isinstance(elements, list):
        return ReadStatus.UNREADABLE
    rules = [rule for rule in map(_rule, elements) if rule]
    if elements and not rules:
        return ReadStatus.UNREADABLE
    return _Page(rules, len(elements), len(elements) < _page_size(content))


def _refusal(answer: Answer) -> ReadStatus:
    status = answer.status or 0
    if status in (408, 429) or status >= 500:
        return ReadStatus.SERVER_TROUBLE
    if not is_linkedins_error(answer):
        return ReadStatus.UNREADABLE
    if code(answer) in {"VERSION_MISSING", "NONEXISTENT_VERSION"}:
        return ReadStatus.VERSION_RETIRED
    by_status = {
        401: ReadStatus.TOKEN_REFUSED,
        403: ReadStatus.CANNOT_TELL,
        426: ReadStatus.VERSION_RETIRED,
    }
    return by_status.get(status, ReadStatus.REFUSED)


def _page_size(content: Mapping[str, Any]) -> int:
    """How many rules a full page has: LinkedIn may return fewer than requested, and then reports that count."""
    paging = content.get("paging")
    count = paging.get("count") if isinstance(paging, dict) else None
    return count if type(count) is int and 0 < count <= PAGE_SIZE else PAGE_SIZE


def _rule(element: Any) -> LinkedInRule | None:
    """The rule, or None if the element has no valid id: no event could be sent to it."""
    if not isinstance(element, dict):
        return None
    number = element.get("id")
    rule_id = str(number) if type(number) in (int, str) else ""
    if not _IS_ID.fullmatch(rule_id):
        return None
    name = element.get("name")
    return LinkedInRule(
        id=rule_id,
        name=printable(name)[:MAX_NAME_LENGTH] if isinstance(name, str) else "",
        type=_symbol(element.get("type")),
        method=_symbol(element.get("conversionMethod")),
        # Documented: enabled unless it says otherwise.
        enabled=element.get("enabled", True) is True,
    )


def _symbol(value: Any) -> str:
    return value if isinstance(value, str) and _IS_SYMBOL.fullmatch(value) else ""
