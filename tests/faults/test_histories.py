"""Random histories of 50 steps, each healed at its end, none of which breaks an invariant."""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from capi.linkedin.sandbox.server import SandboxServer
from tests.faults import figures
from tests.faults.machine import Histories
from tests.faults.undo_machine import UndoHistories
from tests.size import sized

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("small"),
    # A crashed worker closes nothing.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SHAPE = settings(
    max_examples=40 if figures.LONG else sized(12, small=3),
    stateful_step_count=50,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", figures.seeds(figures.rounds(1, long=51)))
@pytest.mark.sized
@pytest.mark.representative
def test_random_histories_of_50_steps_break_no_invariant(number, sandbox) -> None:
    live_through(Histories, number, sandbox)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", figures.seeds(figures.rounds(1, long=6)))
@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.covers("F76")
def test_what_people_take_back_before_its_release_is_never_sent(
    number, sandbox
) -> None:
    undone = figures.TALLY["undos in histories"]

    live_through(UndoHistories, number, sandbox)

    assert figures.TALLY["undos in histories"] > undone


def live_through(machine: type[Histories], number: int, sandbox: SandboxServer) -> None:
    machine.sandbox = sandbox
    lived, sent = figures.TALLY["histories"], figures.TALLY["requests in histories"]

    with figures.chance(number):
        run_state_machine_as_test(seed(number)(machine), settings=SHAPE)

    # A broken invariant would have raised: it remains to check that there were as many histories as asked for.
    assert figures.TALLY["histories"] - lived >= SHAPE.max_examples
    assert figures.TALLY["requests in histories"] - sent >= SHAPE.max_examples
