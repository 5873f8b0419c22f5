"""What must hold for any answer, and randomly damaged answers, some ten thousand a second."""

import json
from random import Random

from capi.linkedin.answers import decide
from capi.linkedin.decisions import (
    Accepted,
    Answer,
    PauseConnection,
    PauseRule,
    PerElement,
    RefusedNamed,
    RefusedUnnamed,
    TooLarge,
    TransportError,
    Verdict,
    VersionRetired,
)
from capi.models.choices import Reason
from tests.capi.linkedin.said import answered

STATUSES = (
    200,
    200,
    200,
    201,
    204,
    299,
    302,
    400,
    401,
    403,
    404,
    408,
    409,
    413,
    422,
    426,
    429,
    500,
    501,
    503,
    999,
)
TROUBLES = (*[None] * 45, *TransportError)
WHOLE = [
    json.dumps(body).encode()
    for body in (
        *({"elements": [{"status": 201}] * count} for count in (1, 2, 3, 4)),
        {
            "elements": [
                {"status": 201},
                {"status": 400, "error": {"message": "Index: 0", "code": "X"}},
            ]
        },
        {
            "elements": [
                {"status": 201, "headers": {}},
                {"status": 429},
                {"status": 500},
            ]
        },
        {
            "message": "Index: 0, ERROR :: /user :: odd\nIndex: 2, ERROR :: /user :: odd",
            "status": 422,
        },
        {
            "message": "Conversion time should be within 90 days, indices [0, 1] (0-indexed).",
            "status": 400,
        },
        {
            "message": "com.linkedin.content.Exception: urn:lla:llaPartnerConversion:1 is disabled",
            "status": 400,
        },
        {
            "code": "VERSION_MISSING",
            "message": "A version must be present",
            "status": 400,
        },
        {
            "serviceErrorCode": 65601,
            "code": "REVOKED_ACCESS_TOKEN",
            "message": "revoked",
            "status": 401,
        },
        {
            "message": "Resource level throttle APPLICATION_AND_MEMBER DAY limit",
            "status": 429,
        },
        {},
        [],
    )
]
PIECES = (
    b"201", b"400", b'"status":', b'"elements":', b"{", b"}", b"[", b"]", b",", b'"', b"null", b"true", b"1e999", b"-1",
    b"\0", b"\xff", b"\\ud800", b"NaN", b"Index: 1, ", b"indices [", b"9" * 30, b" ", b"\n", b'{"status":201}',
)  # fmt: skip


def spoilt(dice: Random) -> tuple[Answer, int]:
    """A whole answer with random damage, and the number of elements that it is for."""
    whole = dice.choice(WHOLE)
    body = bytearray(whole)
    for _ in range(dice.choice((0, 1, 1, 1, 2, 5))):
        _spoil(body, dice)
    answer = answered(
        dice.choice((*STATUSES, *[_status_in(whole)] * len(STATUSES))), bytes(body)
    )
    count = dice.choice((1, 2, 3, 4, *[max(1, body.count(b'"status"'))] * 6))
    return Answer(answer.status, {}, answer.body, dice.choice(TROUBLES), 1), count


def _status_in(body: bytes) -> int:
    """The status that the body states, which is the answer's own if it is LinkedIn's error; 200 for any other body."""
    found = json.loads(body)
    return found.get("status", 200) if isinstance(found, dict) else 200


def _spoil(body: bytearray, dice: Random) -> None:
    start = dice.randint(0, len(body))
    end = min(len(body), start + dice.choice((0, 1, 2, 8)))
    match dice.randrange(5):
        case 0:
            del body[start:]
        case 1:
            body[start:end] = b""
        case 2:
            body[start:end] = dice.choice(PIECES)
        case 3:
            body[start:start] = body[dice.randint(0, start) : start]
        case 4 if body:
            body[min(start, len(body) - 1)] ^= 1 << dice.randrange(8)


def is_plainly_accepted(body: bytes, count: int) -> bool:
    """The parser's question asked another way: does each of `count` elements plainly say 200 or 201?"""
    try:
        found = json.loads(body.decode())["elements"]
        return len(found) == count and all(
            type(each["status"]) is int and each["status"] in (200, 201)
            for each in found
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def is_created(answer: Answer) -> bool:
    """Is this the documented 201, with nothing in it or a JSON object, or a 200 with nothing in it?"""
    if not answer.body.strip():
        return answer.status in (200, 201)
    try:
        return answer.status == 201 and isinstance(
            json.loads(answer.body.decode()), dict
        )
    except (ValueError, RecursionError):
        return False


def is_own_error(answer: Answer) -> bool:
    """Does the body state the answer's status, or that of each element?"""
    try:
        found = json.loads(answer.body.decode())
        return found.get("status") == answer.status or (
            answer.status in (200, 201) and bool(found["elements"])
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def assert_sound(answer: Answer, count: int) -> None:
    """Assert that the decision about this answer to `count` elements counts none as accepted that was not."""
    decision = decide(answer, count=count)
    if isinstance(decision, Accepted):
        assert answer.trouble is None
        assert answer.status in (200, 201)
        assert is_plainly_accepted(answer.body, count) or (
            count == 1 and is_created(answer)
        )
    if isinstance(decision, PerElement):
        assert len(decision.results) == count
        assert all(
            result.status in (200, 201)
            for result in decision.results
            if result.verdict is Verdict.ACCEPTED
        )
    if isinstance(decision, RefusedNamed):
        assert decision.reasons
        assert set(decision.reasons) <= set(range(count))
    if isinstance(decision, RefusedUnnamed | TooLarge):
        assert count > 1
    if isinstance(
        decision, RefusedNamed | PauseRule | PauseConnection | VersionRetired
    ):
        assert is_own_error(answer)
    if reason := getattr(decision, "reason", None):
        assert reason in Reason.values
    if isinstance(decision, PauseRule) and decision.reason == "rule_misconfigured":
        assert answer.status not in {401, 403, 404, 429, 500}
