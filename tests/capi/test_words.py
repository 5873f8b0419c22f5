"""The catalogue holds words for every code that a person may meet."""

import pytest

from capi.linkedin.rules import ReadStatus
from capi.models.choices import Reason, State
from capi.selectors.explanations.reasons import READINGS, REASONS
from capi.selectors.explanations.states import STATES


@pytest.mark.parametrize(
    ("codes", "words"),
    [(State, STATES), (set(Reason) - {Reason.NONE}, REASONS), (ReadStatus, READINGS)],
    ids=["states", "reasons", "readings"],
)
def test_every_code_has_words(codes, words) -> None:
    assert set(codes) - words.keys() == set()
    assert all(one.label and one.what for one in words.values())
