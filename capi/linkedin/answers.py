"""Turns an answer into a decision. `capi.delivery.outcomes` does what follows from it.

An answer decides about events, a rule or the token only if it is LinkedIn's: an error with its own status and a message
or a code as JSON (`parsing.is_linkedins_error`), or a success of the documented form. Anything else comes from
something in between (a proxy, a gateway, a sign-in page), and is tried again.

    201                   accepted, unless the body contradicts it; for a batch the body must confirm each element
    200                   accepted if the body confirms each element; for one event an empty body is enough
    other 2xx             unclear, as is any other body: LinkedIn may have the events, or may never have seen them
    3xx                   unclear: LinkedIn's API redirects nobody
    408, 421, 423, 425    try later
    413                   send half of the bytes; a body under 256 KB can't be too large: try later
    429                   too many requests, whoever says so
    502, 504              try later. A gateway has passed the request on, so LinkedIn may have the events
    1xx, other 5xx        try later
    no whole answer       try later: the outcome of the events is unknown
    other 4xx, and 501    unclear, unless it is LinkedIn's own error. Then:

        400, 409, 422     the data of some element, or the rule (409 is documented nowhere and treated the same)
        400 VERSION_MISSING  as 426
        401               the token: pause the connection
        403, 404          the rule id is unknown, or the token has no access to it: pause the rule. If only some
                          elements of a batch have this status, they are retried
        426               our API version has been retired: pause every connection
        any other         not about an event's data, but a fault of our client or a changed API. No event may be lost
                          for that: the rule is paused as "refused" until a person has checked. (If such an answer names
                          elements, it is about data after all.)

The status decides, then LinkedIn's code, and the text only where `parsing` has a pattern for it. Sources: Microsoft
Learn, "Conversions API", and recorded answers; LinkedIn may change any wording.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from capi.linkedin.decisions import (
    Accepted,
    Answer,
    Decision,
    ElementResult,
    PauseConnection,
    PauseRule,
    PerElement,
    RefusedNamed,
    RefusedUnnamed,
    Throttled,
    TooLarge,
    TransportError,
    TryLater,
    Unclear,
    Verdict,
    VersionRetired,
)
from capi.linkedin.parsing import (
    claims_json,
    code,
    is_about_rule,
    is_linkedins_error,
    is_one_reason,
    json_object,
    mask,
    message,
    named_elements,
    parsed_object,
    retry_after,
    shorten,
)

# No gateway for a JSON API has a lower limit: a 413 for a smaller body is a passing fault.
LARGE_BODY_BYTES = 256 * 1024
ACCEPTED_STATUSES = (200, 201)
ABOUT_DATA = {400, 409, 422}
TRANSIENT = {408, 413, 421, 423, 425}
# By a gateway that got no valid answer from LinkedIn, or none in time.
PASSED_ON = {502, 504}
# What an error of LinkedIn's own means; the others are in `_own_error`.
OWN_ERRORS: dict[int, Decision] = {
    401: PauseConnection("token_refused"),
    403: PauseRule("rule_forbidden"),
    404: PauseRule("rule_not_found"),
    426: VersionRetired(),
}
# Of a 201 for one event.
CONTRADICTIONS = {"elements", "error", "errors", "message", "code", "serviceErrorCode"}

_DAY_LIMIT = re.compile(r"\bDAY limit\b")
_REASONS = {
    TransportError.TIMED_OUT: "timed_out",
    TransportError.UNREACHABLE: "unreachable",
    TransportError.CUT: "answer_unreadable",
    TransportError.TOO_LARGE: "answer_unreadable",
}


def decide(answer: Answer, *, count: int, sent_bytes: int | None = None) -> Decision:
    """What the answer means for the `count` elements of the request: one is a single POST, more are a batch.

    `sent_bytes` is the length of the request's body. None, for an unknown length, counts as large.
    """
    if answer.trouble is not None:
        return _no_answer(answer, answer.trouble, count)
    status = answer.status or 0
    if 200 <= status < 300:
        return _success(answer, count)
    if _is_too_large(status, count, sent_bytes):
        return TooLarge()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _throttled(answer, message(answer) if is_linkedins_error(answer) else "")
    if _is_transient(status):
        return TryLater(
            "server_trouble",
            retry_after(answer.headers),
            is_unknown=status in PASSED_ON,
        )
    if status < 400 or not is_linkedins_error(answer):
        return Unclear()
    return _own_error(status, answer, count)


def _no_answer(answer: Answer, trouble: TransportError, count: int) -> Decision:
    status = answer.status
    # 5,000 long reasons exceed the limit. The same batch would get the same answer, but half of it a shorter one.
    if (
        trouble is TransportError.TOO_LARGE
        and status in ABOUT_DATA
        and count > 1
        and claims_json(answer)
    ):
        return RefusedUnnamed("")
    if trouble is TransportError.REDIRECT or (
        status is not None and 300 <= status < 500
    ):
        return Unclear()
    is_unknown = answer.was_sent and (status is None or status < 300)
    return TryLater(_REASONS[trouble], retry_after(answer.headers), is_unknown)


def _own_error(status: int, answer: Answer, count: int) -> Decision:
    if status in ABOUT_DATA:
        return _data_refused(answer, count)
    return OWN_ERRORS.get(status) or _other_refusal(answer, count)


def _throttled(answer: Answer, text: str) -> Throttled:
    return Throttled(retry_after(answer.headers), _DAY_LIMIT.search(text) is not None)


def _is_too_large(status: int, count: int, sent_bytes: int | None) -> bool:
    if status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE or count == 1:
        return False
    return sent_bytes is None or sent_bytes >= LARGE_BODY_BYTES


def _is_transient(status: int) -> bool:
    is_servers = status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED
    return is_servers or status < 200 or status in TRANSIENT


def _other_refusal(answer: Answer, count: int) -> Decision:
    """Of any other 4xx: the named events are to blame, or else the rule."""
    reasons = named_elements(mask(message(answer)), count=count)
    return _named(reasons, count) if reasons else PauseRule("refused")


def _data_refused(answer: Answer, count: int) -> Decision:
    """Of a status in `ABOUT_DATA`."""
    if code(answer) in {"VERSION_MISSING", "NONEXISTENT_VERSION"}:
        return VersionRetired()
    text = mask(message(answer))
    if is_about_rule(text):
        return PauseRule("rule_misconfigured")
    reasons = {0: text} if count == 1 else named_elements(text, count=count)
    return _named(reasons, count) if reasons else RefusedUnnamed(shorten(text))


def _named(reasons: dict[int, str], count: int) -> Decision:
    """The named events are to blame; the rule, if all of them are named for one reason."""
    if len(reasons) == count and is_one_reason(reasons.values()):
        return PauseRule("rule_misconfigured")
    return RefusedNamed({index: shorten(reason) for index, reason in reasons.items()})


def _success(answer: Answer, count: int) -> Decision:
    if answer.status not in ACCEPTED_STATUSES:
        return Unclear(is_unknown=True)
    if count == 1 and _is_accepted(answer):
        return Accepted()
    elements = json_object(answer.body).get("elements") if claims_json(answer) else None
    if (
        not isinstance(elements, list)
        or len(elements) != count
        or not all(map(_is_readable, elements))
    ):
        return Unclear(is_unknown=True)
    if all(map(_is_element_accepted, elements)):
        return Accepted()
    return _of_elements(tuple(map(_element_result, elements)), answer)


def _is_accepted(answer: Answer) -> bool:
    """True if the answer to one event is the documented 201, or an empty 200, and the body doesn't contradict it."""
    if not answer.body.strip():
        return True
    fields = parsed_object(answer.body)
    if answer.status != HTTPStatus.CREATED or fields is None or not claims_json(answer):
        return False
    return (
        not fields.keys() & CONTRADICTIONS
        and fields.get("status", HTTPStatus.CREATED) in ACCEPTED_STATUSES
    )


def _of_elements(results: tuple[ElementResult, ...], answer: Answer) -> Decision:
    statuses = {result.status or 0 for result in results}
    messages = [result.message for result in results]
    if statuses == {HTTPStatus.TOO_MANY_REQUESTS}:
        return _throttled(answer, " ".join(messages))
    if len(statuses) == 1 and statuses <= OWN_ERRORS.keys():
        return OWN_ERRORS[statuses.pop()]
    if all(
        result.verdict is Verdict.REJECTED for result in results
    ) and _are_about_rule(messages):
        return PauseRule("rule_misconfigured")
    return PerElement(results)


def _are_about_rule(messages: Sequence[str]) -> bool:
    return is_one_reason(messages) or all(map(is_about_rule, messages))


def _is_readable(element: Any) -> bool:
    return (
        isinstance(element, dict)
        and isinstance(element.get("status"), int)
        and 100 <= element["status"] <= 599
    )


def _is_element_accepted(element: dict[str, Any]) -> bool:
    return element["status"] in ACCEPTED_STATUSES and not element.get("error")


def _element_result(element: dict[str, Any]) -> ElementResult:
    status: int = element["status"]
    text = shorten(mask(_element_message(element)))
    if _is_element_accepted(element):
        return ElementResult(Verdict.ACCEPTED, status, text)
    verdict = Verdict.REJECTED if status in ABOUT_DATA else Verdict.RETRY
    return ElementResult(verdict, status, text)


def _element_message(element: dict[str, Any]) -> str:
    error = element.get("error")
    for text in (
        element.get("message"),
        error.get("message") if isinstance(error, dict) else error,
    ):
        if isinstance(text, str):
            return text
    return ""
