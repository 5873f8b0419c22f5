"""What every status means, in LinkedIn's own form and in any other, for one event and for a batch.

Only what is LinkedIn's decides about events, a rule or the token. A `?` says that LinkedIn may have the events.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from capi.linkedin.answers import decide
from capi.linkedin.decisions import (
    Accepted,
    Answer,
    Decision,
    PauseConnection,
    PauseRule,
    RefusedNamed,
    RefusedUnnamed,
    Throttled,
    TooLarge,
    TransportError,
    TryLater,
    Unclear,
    VersionRetired,
)
from tests.capi.linkedin.said import answered

# one event/batch, if they differ
TABLE = """
status  LinkedIn's   page           empty                 other JSON     wrong type     cut
200     accepted     unclear?       accepted/unclear?     unclear?       unclear?       unclear?
201     accepted     unclear?       accepted/unclear?     unclear?       unclear?       unclear?
202     unclear?     unclear?       unclear?              unclear?       unclear?       unclear?
204     unclear?     unclear?       unclear?              unclear?       unclear?       unclear?
206     unclear?     unclear?       unclear?              unclear?       unclear?       unclear?
301     unclear      unclear        unclear               unclear        unclear        unclear
302     unclear      unclear        unclear               unclear        unclear        unclear
308     unclear      unclear        unclear               unclear        unclear        unclear
400     data/halve   unclear        unclear               unclear        unclear        unclear
401     token        unclear        unclear               unclear        unclear        unclear
402     paused       unclear        unclear               unclear        unclear        unclear
403     forbidden    unclear        unclear               unclear        unclear        unclear
404     unknown      unclear        unclear               unclear        unclear        unclear
405     paused       unclear        unclear               unclear        unclear        unclear
407     paused       unclear        unclear               unclear        unclear        unclear
408     later        later          later                 later          later          later
409     data/halve   unclear        unclear               unclear        unclear        unclear
410     paused       unclear        unclear               unclear        unclear        unclear
411     paused       unclear        unclear               unclear        unclear        unclear
413     later/less   later/less     later/less            later/less     later/less     later/less
415     paused       unclear        unclear               unclear        unclear        unclear
421     later        later          later                 later          later          later
422     data/halve   unclear        unclear               unclear        unclear        unclear
423     later        later          later                 later          later          later
425     later        later          later                 later          later          later
426     version      unclear        unclear               unclear        unclear        unclear
429     slower       slower         slower                slower         slower         slower
431     paused       unclear        unclear               unclear        unclear        unclear
451     paused       unclear        unclear               unclear        unclear        unclear
499     paused       unclear        unclear               unclear        unclear        unclear
500     later        later          later                 later          later          later
501     paused       unclear        unclear               unclear        unclear        unclear
502     later?       later?         later?                later?         later?         later?
503     later        later          later                 later          later          later
504     later?       later?         later?                later?         later?         later?
599     later        later          later                 later          later          later
"""

MEANINGS: dict[str, Decision] = {
    "accepted": Accepted(),
    "data": RefusedNamed({0: "Something is wrong."}),
    "halve": RefusedUnnamed("Something is wrong."),
    "less": TooLarge(),
    "token": PauseConnection("token_refused"),
    "forbidden": PauseRule("rule_forbidden"),
    "unknown": PauseRule("rule_not_found"),
    "paused": PauseRule("refused"),
    "version": VersionRetired(),
    "slower": Throttled(None, until_midnight=False),
    "later": TryLater("server_trouble"),
    "later?": TryLater("server_trouble", is_unknown=True),
    "unclear": Unclear(),
    "unclear?": Unclear(is_unknown=True),
}
BATCH = 3


def cells() -> Iterator[tuple[int, str, int, str]]:
    """Each cell: status, form of the body, number of events, and meaning."""
    head, *rows = [
        [cell.strip() for cell in line.split("  ") if cell]
        for line in TABLE.strip().splitlines()
    ]
    for status, *meanings in rows:
        for form, meaning in zip(head[1:], meanings, strict=True):
            single, _, batch = meaning.partition("/")
            yield int(status), form, 1, single
            yield int(status), form, BATCH, batch or single


def in_form(form: str, status: int, count: int) -> Answer:
    """The answer as the client returns it."""
    refusal = {"message": "Something is wrong.", "status": status}
    created = {"elements": [{"status": 201}] * count}
    own = json.dumps(created if status < 300 else refusal).encode()
    media_type, body = {
        "LinkedIn's": ("application/json; charset=utf-8", own),
        "page": ("text/html", b"<html><title>Something is wrong.</title></html>"),
        "empty": ("", b""),
        "other JSON": ("application/json", b'{"message": "Something is wrong."}'),
        "wrong type": ("text/html", own),
        "cut": ("application/json", own[:-1]),
    }[form]
    answer = answered(
        status, body, headers={"content-type": media_type} if media_type else {}
    )
    is_redirect = 300 <= status < 400
    return (
        replace(answer, body=b"", trouble=TransportError.REDIRECT)
        if is_redirect
        else answer
    )


@pytest.mark.parametrize(("status", "form", "count", "meaning"), cells())
def test_the_table(status: int, form: str, count: int, meaning: str) -> None:
    assert decide(in_form(form, status, count), count=count) == MEANINGS[meaning]


def test_it_has_each_status_that_the_client_may_get_and_each_meaning() -> None:
    found = list(cells())

    assert len(found) == len({cell[:3] for cell in found}) == 36 * 6 * 2
    assert {meaning for *_, meaning in found} == MEANINGS.keys()


@pytest.mark.parametrize("count", [1, BATCH])
def test_nothing_but_linkedins_own_form_decides_about_a_status_below_600(
    count: int,
) -> None:
    bodies = (
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"message":"x"}',
        b'{"message":"x","status":"%d"}',
        b'{"status":%d}',
    )
    decided = (
        Accepted,
        RefusedNamed,
        RefusedUnnamed,
        PauseRule,
        PauseConnection,
        VersionRetired,
    )

    found = [
        (status, body, decision)
        for status in range(300, 600)
        for body in bodies
        for decision in [
            decide(
                answered(status, body.replace(b"%d", str(status).encode())), count=count
            )
        ]
        if isinstance(decision, decided)
    ]

    assert found == []


LINKEDINS = [
    {"message": "No ad accounts found", "status": 403},
    {"status": 403, "code": "ACCESS_DENIED", "message": "Not enough permissions"},
    {
        "status": 403,
        "serviceErrorCode": 100,
        "code": "ACCESS_DENIED",
        "message": "Not enough permissions",
    },
    {"status": 403, "serviceErrorCode": 100},
    {"status": 403, "code": "ACCESS_DENIED"},
    {
        "status": 403,
        "message": "",
        "errorDetails": {"inputErrors": []},
        "errorDetailType": "x",
        "requestId": "y",
    },
]
OTHERS = [
    {"message": "Forbidden"},
    {"message": "Forbidden", "request_id": "1"},
    {"statusCode": 403, "message": "Forbidden"},
    {"status": "403", "message": "Forbidden"},
    {"status": 403.0, "message": "Forbidden"},
    {"status": 400, "message": "Forbidden"},
    {"status": True, "message": "Forbidden"},
    {"status": 403},
    {"status": 403, "message": None},
    {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "x"},
    {
        "timestamp": "2026-12-01T10:00:00Z",
        "status": 403,
        "error": "Forbidden",
        "message": "",
        "path": "/rest",
    },
    {"kind": "Status", "status": "Failure", "message": "forbidden", "code": 403},
    {"error": {"code": 403, "message": "Forbidden", "status": "PERMISSION_DENIED"}},
    [{"status": 403, "message": "Forbidden"}],
    "Forbidden",
    403,
    None,
]


@pytest.mark.parametrize("body", LINKEDINS, ids=str)
def test_each_form_of_linkedins_errors_decides(body: object) -> None:
    assert decide(answered(403, body), count=1) == PauseRule("rule_forbidden")


@pytest.mark.parametrize("body", OTHERS, ids=str)
def test_the_forms_of_others_don_t(body: object) -> None:
    assert decide(answered(403, body), count=1) == Unclear()


@pytest.mark.parametrize("media_type", ["", "application/json", "Application/JSON;charset=UTF-8", "text/json",
                                        "application/vnd.linkedin.normalized+json"])  # fmt: skip
def test_a_content_type_of_json_or_none_may_be_linkedins(media_type: str) -> None:
    answer = answered(403, LINKEDINS[0], headers={"content-type": media_type})

    assert decide(answer, count=1) == PauseRule("rule_forbidden")


@pytest.mark.parametrize(
    ("body", "decision"),
    [
        (b"", Accepted()),
        (b"\r\n", Accepted()),
        (b"{}", Accepted()),
        (b'{"id":"1"}', Accepted()),
        (b'{"status":201}', Accepted()),
        (b'{"elements":[{"status":201}]}', Accepted()),
        (b"OK", Unclear(is_unknown=True)),
        (b"[]", Unclear(is_unknown=True)),
        (b'"created"', Unclear(is_unknown=True)),
        (b'{"status":500}', Unclear(is_unknown=True)),
        (b'{"message":"Accepted"}', Unclear(is_unknown=True)),
        (b'{"error":"x"}', Unclear(is_unknown=True)),
        (b'{"code":"X"}', Unclear(is_unknown=True)),
        (b'{"elements":[]}', Unclear(is_unknown=True)),
    ],
)
def test_a_created_event_is_accepted_if_the_body_is_empty_or_json_without_a_contradiction(
    body: bytes, decision: Decision
) -> None:
    assert decide(answered(201, body), count=1) == decision


def test_an_empty_201_is_linkedins_whatever_its_content_type_says() -> None:
    assert (
        decide(answered(201, b"", headers={"content-type": "text/html"}), count=1)
        == Accepted()
    )


@pytest.mark.parametrize(("status", "media_type", "count", "decision"), [
    (400, "application/json", BATCH, RefusedUnnamed("")),
    (400, "application/json", 1, Unclear()),
    (400, "text/html", BATCH, Unclear()),
    (403, "application/json", BATCH, Unclear()),
    (200, "text/html", 1, TryLater("answer_unreadable", is_unknown=True)),
    (500, "text/html", BATCH, TryLater("answer_unreadable")),
])  # fmt: skip
def test_of_an_answer_too_long_to_be_read_only_linkedins_refusal_of_a_batch_decides(
    status: int, media_type: str, count: int, decision: Decision
) -> None:
    answer = answered(status, headers={"content-type": media_type})

    assert (
        decide(replace(answer, trouble=TransportError.TOO_LARGE), count=count)
        == decision
    )


def test_only_linkedin_can_send_us_to_bed_until_midnight() -> None:
    text = "Resource level throttle APPLICATION_AND_MEMBER DAY limit for calls to this resource is reached."

    assert decide(
        answered(429, {"status": 429, "message": text}), count=1
    ) == Throttled(None, until_midnight=True)
    assert decide(answered(429, {"message": text}), count=1) == Throttled(
        None, until_midnight=False
    )
    of_each = {"elements": [{"status": 429, "message": text}] * 2}
    assert decide(answered(200, of_each), count=2) == Throttled(
        None, until_midnight=True
    )
