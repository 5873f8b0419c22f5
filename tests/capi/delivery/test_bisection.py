"""Finding the bad events of a batch that LinkedIn rejects without naming any."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capi.delivery.bisection import BatchBisection


class Event(int):
    """An event that is known by its number."""

    @property
    def row(self) -> SimpleNamespace:
        return SimpleNamespace(pk=int(self))


def run(
    size: int, refuse, *, words=lambda event: f"Bad thing {event!r}"
) -> tuple[BatchBisection, list[int], int]:
    """Bisect `size` events; `refuse(part)` plays LinkedIn. Returns the bisection, accepted events and requests."""
    bisection, accepted, requests = (
        BatchBisection([[Event(number) for number in range(size)]]),
        [],
        0,
    )
    while (part := bisection.next_part()) is not None and not bisection.blames_rule:
        requests += 1
        if not refuse(part):
            accepted += part
            bisection.anything_accepted = True
        elif len(part) > 1:
            bisection.halve(part)
        else:
            bisection.refused(part, {0: words(part[0])}, SimpleNamespace(pk=requests))
    return bisection, accepted, requests


@given(st.data())
@settings(max_examples=200)
def test_exactly_the_bad_ones_are_found_within_the_bound(data) -> None:
    size = data.draw(st.integers(2, 5000))
    bad = data.draw(st.sets(st.integers(0, size - 1), max_size=min(size - 1, 12)))

    bisection, accepted, requests = run(
        size, lambda part: bool(bad.intersection(part)), words=lambda event: "x" * event
    )

    # Three bad ones at the front and a bad probe look like a bad rule; then none is
    # accepted.
    if not bisection.blames_rule:
        assert sorted(refusal.event for refusal in bisection.refusals) == sorted(bad)
        assert sorted(accepted) == sorted(set(range(size)) - bad)
        assert requests <= 2 + 2 * max(1, len(bad)) * 13
    else:
        assert not accepted


@given(size=st.integers(1, 5000), fits=st.integers(1, 5000))
def test_of_what_is_too_large_the_front_goes_in_the_first_size_that_fits(
    size: int, fits: int
) -> None:
    bisection, sent, refused = BatchBisection([range(size)]), [], []
    while (part := bisection.next_part()) is not None:
        if len(part) > fits:
            refused.append(len(part))
            bisection.cut(part[: len(part) // 2])
        else:
            sent.append(part)

    assert len(refused) <= 12
    [front] = sent
    assert front == range(len(front))
    assert len(front) == size if size <= fits else fits // 2 <= len(front) <= fits


@pytest.mark.parametrize("size", [2, 3, 4, 100, 5000])
def test_a_rule_that_refuses_everything_is_found_with_few_requests(size: int) -> None:
    bisection, accepted, requests = run(
        size, lambda part: True, words=lambda event: "Off."
    )

    assert bisection.blames_rule
    assert not accepted
    assert requests <= 25


def test_three_bad_events_at_the_front_do_not_condemn_the_rule() -> None:
    bisection, accepted, _ = run(5000, lambda part: any(event < 3 for event in part))

    assert not bisection.blames_rule
    assert sorted(refusal.event for refusal in bisection.refusals) == [0, 1, 2]
    assert len(accepted) == 4997


def test_two_events_refused_in_different_words_are_two_bad_events() -> None:
    bisection, _, _ = run(
        2, lambda part: True, words=lambda event: ["Odd address.", "Odd moment."][event]
    )

    assert not bisection.blames_rule
    assert len(bisection.refusals) == 2


def test_one_event_alone_never_condemns_the_rule() -> None:
    bisection, _, requests = run(1, lambda part: True)

    assert (bisection.blames_rule, requests, len(bisection.refusals)) == (False, 1, 1)
