"""The catalogue holds words for every code that a person may meet."""

import pytest

from capi.linkedin.rules import Outcome
from capi.reasons import Reason, State
from capi.words import READINGS, REASONS, STATES


@pytest.mark.parametrize(
    ("codes", "words"),
    [(State, STATES), (set(Reason) - {Reason.NONE}, REASONS), (Outcome, READINGS)],
    ids=["states", "reasons", "readings"],
)
def test_every_code_has_words(codes, words) -> None:
    assert set(codes) - words.keys() == set()
    assert all(one.label and one.what for one in words.values())
