"""Whatever comes back, nothing is raised, and no event counts as accepted that LinkedIn did not accept."""

import json
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capi.linkedin.answers import decide
from capi.linkedin.decisions import Accepted, Answer, TransportError
from capi.linkedin.parsing import api_message
from tests.capi.linkedin.malformed import assert_sound, is_plainly_accepted, spoilt
from tests.capi.linkedin.said import answered
from tests.faults import figures
from tests.size import sized

pytestmark = pytest.mark.faults

EACH = sized(5_000, small=500)  # malformed answers for each seed

odd_numbers = st.sampled_from(
    [0, -1, 10**400, 201.0, float("nan"), True, "201", None, [], {}]
)
statuses = (
    st.sampled_from([200, 201, 204, 299, 400, 401, 403, 409, 422, 426, 429, 500, 501])
    | odd_numbers
)
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
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
element = (
    st.fixed_dictionaries(
        {"status": statuses}, optional={"message": texts, "error": anything}
    )
    | anything
)
created = st.just({"status": 201})
nearly_good = st.lists(
    st.one_of(created, created, created, element), min_size=1, max_size=4
)
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
written = st.one_of(document, good_documents, anything).map(
    lambda value: json.dumps(value).encode()
)
cut = st.builds(
    lambda data, at: data[: at % (len(data) + 1)], written, st.integers(0, 300)
)
noises = st.binary(max_size=6)
noisy = st.builds(
    lambda data, at, noise: data[:at] + noise + data[at:],
    written,
    st.integers(0, 60),
    noises,
)
nested = st.integers(1, 3000).map(lambda depth: b'{"elements":[' * depth)
doubled = written.map(
    lambda data: b'{"elements":[{"status":400,"status":201}],"elements":' + data + b"}"
)
bodies = st.one_of(
    written, written, cut, noisy, nested, doubled, st.binary(max_size=200)
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date"]), st.text(max_size=30)
)
answers = st.builds(
    Answer,
    status=st.sampled_from([200, 201, 400, 422]) | st.integers(100, 999) | st.none(),
    headers=headers,
    body=bodies,
    trouble=st.sampled_from([None, None, None, None, None, *TransportError]),
    duration_ms=st.just(1),
)


@settings(max_examples=2000)
@given(answer=answers, count=st.integers(1, 4))
def test_any_answer_gives_a_decision_and_accepts_only_what_was_accepted(answer, count):
    assert_sound(answer, count)
    figures.count("malformed answers")


@settings(max_examples=2000)
@given(
    elements=st.lists(
        st.one_of(created, created, created, element), min_size=2, max_size=4
    ),
    start=st.integers(0, 80),
    noise=st.sampled_from(
        [b"", b"", b"}", b",", b"2", b"\0", b"\xff", b'"status":400,']
    ),
    skipped=st.sampled_from([0, 0, 0, 1, 2]),
)
def test_a_nearly_good_batch_is_accepted_only_if_each_element_plainly_is(
    elements, start, noise, skipped
):
    whole = json.dumps({"elements": elements}).encode()
    body = whole[:start] + noise + whole[start + skipped :]

    decision = decide(answered(200, body), count=len(elements))

    if isinstance(decision, Accepted):
        assert is_plainly_accepted(body, len(elements))
    figures.count("malformed answers")


@settings(max_examples=500)
@given(answer=answers)
def test_what_is_kept_of_any_answer_can_be_stored(answer):
    kept = api_message(answer)

    assert len(kept.code) <= 80
    assert len(kept.message) <= 2000
    assert not any(
        category(character) in {"Cc", "Cs"} for character in kept.code + kept.message
    )


@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.timeout(1800)
def test_answers_that_were_whole_once_are_accepted_only_as_far_as_they_still_say_so():
    for seed in figures.seeds(figures.rounds(1, long=200)):
        with figures.chance(seed) as dice:
            for _ in range(EACH):
                assert_sound(*spoilt(dice))
        figures.count("malformed answers", EACH)
