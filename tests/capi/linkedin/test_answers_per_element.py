"""A batch that LinkedIn answers with 2xx: each element must say that it was accepted."""

import random

import pytest

from capi.linkedin.answers import decide
from capi.linkedin.decisions import (
    Accepted,
    ElementResult,
    PauseConnection,
    PauseRule,
    PerElement,
    Throttled,
    Unclear,
    Verdict,
    VersionRetired,
)
from tests.capi.linkedin.said import answered

CREATED = {"status": 201}


def elements(*items):
    return answered(200, {"elements": list(items)})


def test_each_element_goes_by_its_own_status():
    answer = elements(
        CREATED,
        {"status": 400, "error": {"message": "Too old"}},
        {"status": 422, "message": "No amount for ada@example.com"},
        {"status": 429},
        {"status": 500, "error": "Trouble"},
        {"status": 299},
    )

    assert decide(answer, count=6) == PerElement(
        (
            ElementResult(Verdict.ACCEPTED, 201, ""),
            ElementResult(Verdict.REJECTED, 400, "Too old"),
            ElementResult(Verdict.REJECTED, 422, "No amount for •••"),
            ElementResult(Verdict.RETRY, 429, ""),
            ElementResult(Verdict.RETRY, 500, "Trouble"),
            ElementResult(Verdict.RETRY, 299, ""),
        )
    )


@pytest.mark.parametrize(
    "status", [202, 204, 206, 299, 301, 401, 403, 404, 405, 408, 426, 501, 503]
)
def test_an_element_that_is_not_refused_for_its_data_is_tried_again(status):
    decision = decide(elements(CREATED, {"status": status}), count=2)

    assert decision == PerElement(
        (
            ElementResult(Verdict.ACCEPTED, 201, ""),
            ElementResult(Verdict.RETRY, status, ""),
        )
    )


def test_an_element_with_a_good_status_and_an_error_is_tried_again():
    decision = decide(
        elements(CREATED, {"status": 201, "error": {"message": "Lost"}}), count=2
    )

    assert decision == PerElement(
        (
            ElementResult(Verdict.ACCEPTED, 201, ""),
            ElementResult(Verdict.RETRY, 201, "Lost"),
        )
    )


def test_the_failures_among_five_thousand_are_found_by_their_place():
    failed = set(random.Random(37).sample(range(5000), 37))
    answer = elements(
        *({"status": 422} if index in failed else CREATED for index in range(5000))
    )

    decision = decide(answer, count=5000)

    assert isinstance(decision, PerElement)
    assert len(decision.results) == 5000
    rejected = {
        index
        for index, result in enumerate(decision.results)
        if result.verdict is Verdict.REJECTED
    }
    assert rejected == failed
    assert {result.verdict for result in decision.results} == {
        Verdict.ACCEPTED,
        Verdict.REJECTED,
    }


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        (401, PauseConnection("token_refused")),
        (403, PauseRule("rule_forbidden")),
        (404, PauseRule("rule_not_found")),
        (426, VersionRetired()),
        (429, Throttled(retry_after=None, until_midnight=False)),
    ],
)
def test_when_all_elements_are_refused_alike_it_is_as_if_the_whole_answer_was(
    status, decision
):
    assert decide(elements({"status": status}, {"status": status}), count=2) == decision


@pytest.mark.parametrize(
    "messages",
    [
        ["Value 1 is refused", "Value 22 is refused"],
        ["Conversion's method should be CONVERSIONS_API", "The rule is disabled"],
    ],
)
def test_when_all_elements_are_rejected_for_one_reason_it_is_the_rule(messages):
    answer = elements(*({"status": 400, "message": message} for message in messages))

    assert decide(answer, count=2) == PauseRule("rule_misconfigured")


def test_when_all_elements_are_rejected_for_different_reasons_they_are_rejected():
    answer = elements(
        {"status": 400, "message": "Too old"},
        {"status": 400, "message": "No identifier"},
    )

    assert decide(answer, count=2) == PerElement(
        (
            ElementResult(Verdict.REJECTED, 400, "Too old"),
            ElementResult(Verdict.REJECTED, 400, "No identifier"),
        )
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'"elements"',
        b'{"elements":null}',
        b'{"elements":{}}',
        b'{"elements":[]}',
        b'{"elements":[{"status":201}]}',
        b'{"elements":[{"status":201},{"status":201},{"status":201}]}',
        b'{"elements":[{"status":201},{"status":"201"}]}',
        b'{"elements":[{"status":201},{"status":201.0}]}',
        b'{"elements":[{"status":201},{"status":true}]}',
        b'{"elements":[{"status":201},{"status":null}]}',
        b'{"elements":[{"status":201},{"status":[201]}]}',
        b'{"elements":[{"status":201},{}]}',
        b'{"elements":[{"status":201},null]}',
        b'{"elements":[{"status":201},201]}',
        b'{"elements":[201,201]}',
        b'{"elements":[[{"status":201},{"status":201}]]}',
        b'{"elements":[{"status":201},{"status":2010}]}',
        b'{"elements":[{"status":201},{"status":' + b"2" * 5000 + b"}]}",
        b'{"elements":[{"status":201},{"status":400,"status":201}]}',
        b'{"elements":[],"elements":[{"status":201},{"status":201}]}',
        b'{"elements":[{"status":201},{"status":201}]} and more',
        b'{"elements":[{"status":201},{"status":201}]',
        b'{"elements":[{"status":201},{"status":201}],"\xff":1}',
        b'\xef\xbb\xbf{"elements":[{"status":201},{"status":201}]}',
        '{"elements":[{"status":201},{"status":201}]}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"elements":' * 100_000,
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_batch_answer_of_any_other_shape_is_unclear(body):
    assert decide(answered(200, body), count=2) == Unclear(is_unknown=True)


def test_keys_that_nobody_knows_do_no_harm():
    assert (
        decide(elements({**CREATED, "id": "1", "error": None}, CREATED), count=2)
        == Accepted()
    )
