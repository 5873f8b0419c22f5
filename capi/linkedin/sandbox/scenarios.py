"""Tokens, rule ids and ad accounts that make the sandbox answer with an error. Any other is good.

The tables are data, so that the command and the sandbox's page list exactly what applies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from capi.linkedin.sandbox.messages import Reply, coded_refusal, refusal


@dataclass(frozen=True, slots=True)
class Choice:
    """A sign (part of the token, or the whole id) and the answer that it causes.

    In the message `[…]` stands for the positions of the elements, and `{}` for the resource. A message about the
    schema is repeated for each element. A `status` of None is no answer at all. `only_reading` does not affect sending.
    """

    sign: str
    status: int | None
    meaning: str
    message: str = ""
    code: str = ""
    service_error_code: int | None = None
    only_reading: bool = False


HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
THROTTLED = "Resource level throttle APPLICATION_AND_MEMBER {} limit for calls to this resource is reached."
NOT_PERMITTED = "Not enough permissions to access: {}"
SENDING, READING = "conversionEvents.CREATE", "conversions.FINDER-account"

TOKENS: Final = (
    Choice(
        "revoked", 401, "The token was revoked", "The token used in the request has been revoked by the user",
        "REVOKED_ACCESS_TOKEN", 65601,
    ),
    Choice(
        "expired", 401, "The token has expired", "The token used in the request has expired",
        "EXPIRED_ACCESS_TOKEN", 65602,
    ),
    Choice("invalid", 401, "The token is not valid", "Invalid access token", "INVALID_ACCESS_TOKEN", 65600),
    Choice("norole", 403, "The token's owner has no role in the ad account", NOT_PERMITTED, "ACCESS_DENIED", 100),
    Choice("sendonly", 403, "The token may send, but not read the rules", NOT_PERMITTED, "ACCESS_DENIED", 100,
           only_reading=True),
    Choice(
        "throttled", 429, "Too many requests in this minute", THROTTLED.format("MINUTE"), "TOO_MANY_REQUESTS", 101
    ),
    Choice("daylimit", 429, "Too many requests today", THROTTLED.format("DAY"), "TOO_MANY_REQUESTS", 101),
    Choice("broken", 500, "LinkedIn is in trouble", "Internal Server Error"),
    Choice("unavailable", 503, "LinkedIn is down, with a page in HTML", HTML.format("503 Service Unavailable")),
)  # fmt: skip

REFUSING_RULES: Final = (
    Choice("400400", 400, "The rule's method is not the Conversions API",
           "Conversion's method should be CONVERSIONS_API, indices […] (0-indexed)."),
    Choice("400401", 400, "The rule is disabled",
           "Conversion is disabled, which counts as deleted, and must be enabled, indices […] (0-indexed)."),
    Choice("403403", 403, "Unknown rule, or one of another ad account", "No ad accounts found"),
    Choice("404404", 404, "No such rule", "Could not find entity"),
    Choice("408408", None, "No answer: the connection hangs until it is closed"),
    Choice("422422", 422, "The data is refused", "ERROR :: /conversion :: conversion does not take this event"),
    Choice("426426", 426, "The API version is retired"),
    Choice("429429", 429, "Too many requests in this minute", THROTTLED.format("MINUTE"), "TOO_MANY_REQUESTS", 101),
    Choice("500500", 500, "LinkedIn is in trouble", "Internal Server Error"),
    Choice("503503", 503, "LinkedIn is down, with a page in HTML", HTML.format("503 Service Unavailable")),
)  # fmt: skip

_BY_RULE: Final = {choice.sign: choice for choice in REFUSING_RULES}

# Ad accounts that cause an answer when their rules are read. Every other one has the rules of `rules`.
ACCOUNTS: Final = (
    Choice("403403", 403, "An ad account that the token's owner may not see", "No ad accounts found"),
    Choice("408408", None, "No answer: the connection hangs until it is closed"),
    Choice("500500", 500, "LinkedIn is in trouble", "Internal Server Error"),
    Choice("503503", 503, "LinkedIn is down, with a page in HTML", HTML.format("503 Service Unavailable")),
)

_BY_ACCOUNT: Final = {choice.sign: choice for choice in ACCOUNTS}


def for_account(account_id: str) -> Choice | None:
    """The answer to reading the rules of this ad account, None for a list of rules."""
    return _BY_ACCOUNT.get(account_id)


def for_token(token: str, *, is_reading: bool = False) -> Choice | None:
    """The answer for this token, None for a good one."""
    fitting = (choice for choice in TOKENS if is_reading or not choice.only_reading)
    return next((choice for choice in fitting if choice.sign in token), None)


def for_rules(rule_ids: Sequence[str]) -> Choice | None:
    """The answer for the first rule id that has one, None if all are good."""
    return next((_BY_RULE[rule_id] for rule_id in rule_ids if rule_id in _BY_RULE), None)


def reply(choice: Choice, positions: Sequence[int] = (), *, is_batch: bool = False, is_reading: bool = False) -> Reply:
    """The reply of a choice, about the elements at these positions."""
    if choice.status is None:
        return Reply(None)
    if choice.status == 503:
        return Reply(503, choice.message.encode(), {"Content-Type": "text/html"})
    if choice.code:
        message = choice.message.replace("{}", READING if is_reading else SENDING)
        return coded_refusal(choice.status, choice.code, message, choice.service_error_code)
    if choice.status == 422:
        return refusal(422, "".join(f"{prefix(at, is_batch)}{choice.message}\n" for at in positions))
    return refusal(choice.status, choice.message.replace("[…]", str(list(positions))))


def prefix(position: int, is_batch: bool) -> str:
    """The prefix of a schema error: the position in a batch, nothing for a single event."""
    return f"Index: {position}, " if is_batch else ""
