"""Whatever comes back: never an exception, and never an event taken for accepted that LinkedIn did not accept."""

import json
from unicodedata import category

from hypothesis import given, settings
from hypothesis import strategies as st

from capi.linkedin.answers import (
    Accepted,
    Answer,
    PauseRule,
    PerElement,
    RefusedNamed,
    RefusedUnnamed,
    TooLarge,
    Trouble,
    Verdict,
    decide,
    said,
)
from capi.reasons import Reason
from tests.capi.linkedin.said import answered

odd_numbers = st.sampled_from([0, -1, 10**400, 201.0, float("nan"), True, "201", None, [], {}])
statuses = st.sampled_from([200, 201, 204, 299, 400, 401, 403, 409, 422, 426, 429, 500, 501]) | odd_numbers
texts = st.text(max_size=40) | st.sampled_from(
    [
        "Index: 0, ERROR :: \0",
        "indices [0, 1] (0-indexed)",
        "Index: 99999999999999999999999, x",
        "indices [" + "1" * 5000 + "]",
        "batchIndex=0",
        "CONVERSIONS_API",
        "\ud800",
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
element = st.fixed_dictionaries({"status": statuses}, optional={"message": texts, "error": anything}) | anything
created = st.just({"status": 201})
nearly_good = st.lists(st.one_of(created, created, created, element), min_size=1, max_size=4)
document = st.fixed_dictionaries(
    {},
    optional={
        "elements": nearly_good | anything,
        "message": texts | anything,
        "code": texts | anything,
        "serviceErrorCode": anything,
        "status": statuses,
    },
)
good_documents = nearly_good.map(lambda elements: {"elements": elements})
written = st.one_of(document, good_documents, anything).map(lambda value: json.dumps(value).encode())
cut = st.builds(lambda data, at: data[: at % (len(data) + 1)], written, st.integers(0, 300))
noises = st.binary(max_size=6)
noisy = st.builds(lambda data, at, noise: data[:at] + noise + data[at:], written, st.integers(0, 60), noises)
nested = st.integers(1, 3000).map(lambda depth: b'{"elements":[' * depth)
doubled = written.map(lambda data: b'{"elements":[{"status":400,"status":201}],"elements":' + data + b"}")
bodies = st.one_of(written, written, cut, noisy, nested, doubled, st.binary(max_size=200))
headers = st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text(max_size=30))
answers = st.builds(
    Answer,
    status=st.sampled_from([200, 201, 400, 422]) | st.integers(100, 999) | st.none(),
    headers=headers,
    body=bodies,
    trouble=st.sampled_from([None, None, None, None, None, *Trouble]),
    duration_ms=st.just(1),
)


def independently_accepted(body, count):
    """The same question asked another way: does each of `count` elements plainly say 2xx?"""
    try:
        found = json.loads(body.decode())["elements"]
        return len(found) == count and all(type(each["status"]) is int and each["status"] // 100 == 2 for each in found)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


@settings(max_examples=2000, deadline=None)
@given(answer=answers, count=st.integers(1, 4))
def test_any_answer_gives_a_decision_and_accepts_only_what_was_accepted(answer, count):
    decision = decide(answer, count=count)

    if isinstance(decision, Accepted):
        assert answer.trouble is None
        assert 200 <= answer.status < 300
        assert count == 1 or independently_accepted(answer.body, count)
    if isinstance(decision, PerElement):
        assert len(decision.results) == count > 1
        assert all(200 <= result.status < 300 for result in decision.results if result.verdict is Verdict.ACCEPTED)
    if isinstance(decision, RefusedNamed):
        assert decision.reasons
        assert set(decision.reasons) <= set(range(count))
    if isinstance(decision, RefusedUnnamed | TooLarge):
        assert count > 1
    if reason := getattr(decision, "reason", None):
        assert reason in Reason.values
    if isinstance(decision, PauseRule) and decision.reason == "rule_misconfigured":
        assert answer.status not in {401, 403, 404, 429, 500}


@settings(max_examples=2000, deadline=None)
@given(
    elements=st.lists(st.one_of(created, created, created, element), min_size=2, max_size=4),
    start=st.integers(0, 80),
    noise=st.sampled_from([b"", b"", b"}", b",", b"2", b"\0", b"\xff", b'"status":400,']),
    skipped=st.sampled_from([0, 0, 0, 1, 2]),
)
def test_a_nearly_good_batch_is_accepted_only_if_each_element_plainly_is(elements, start, noise, skipped):
    body = json.dumps({"elements": elements}).encode()
    spoilt = body[:start] + noise + body[start + skipped :]

    decision = decide(answered(200, spoilt), count=len(elements))

    if isinstance(decision, Accepted):
        assert independently_accepted(spoilt, len(elements))


@settings(max_examples=500, deadline=None)
@given(answer=answers)
def test_what_is_kept_of_any_answer_can_be_stored(answer):
    kept = said(answer)

    assert len(kept.code) <= 80
    assert len(kept.message) <= 2000
    assert not any(category(character) in {"Cc", "Cs"} for character in kept.code + kept.message)
