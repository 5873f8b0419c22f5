"""How states group into sent, on the way, on hold, failed and not sent. All pages, mails and exports use it."""

from collections.abc import Sequence
from typing import Final

from django.db import models

from capi.models.choices import OPEN_STATES, State


class StateFilter(models.TextChoices):
    """The states by which Recent Events can be filtered. All except ALL and TEST leave test events out."""

    ALL = "", "All"
    SENT = "sent", "Sent"
    QUEUED = "queued", "Queued"
    ON_HOLD = "on_hold", "On hold"
    WAITING = "waiting", "Waiting"
    FAILED = "failed", "Failed"
    NOT_SENT = "not_sent", "Not sent"
    TEST = "test", "Test"
    # The single states that FAILED and NOT_SENT combine, under the state's own name.
    REJECTED = State.REJECTED.value, State.REJECTED.label
    EXPIRED = State.EXPIRED.value, State.EXPIRED.label
    EXHAUSTED = State.EXHAUSTED.value, State.EXHAUSTED.label
    SKIPPED = State.SKIPPED.value, State.SKIPPED.label
    CANCELLED = State.CANCELLED.value, State.CANCELLED.label


PARTS: Final = {
    StateFilter.FAILED: (
        StateFilter.REJECTED,
        StateFilter.EXPIRED,
        StateFilter.EXHAUSTED,
    ),
    StateFilter.NOT_SENT: (StateFilter.SKIPPED, StateFilter.CANCELLED),
}
WHOLES: Final = {part: whole for whole, parts in PARTS.items() for part in parts}

FAILED: Final = tuple(State(part.value) for part in PARTS[StateFilter.FAILED])
NOT_SENT: Final = tuple(State(part.value) for part in PARTS[StateFilter.NOT_SENT])

# The states behind each filter, except SENT: the index by state leaves sent events out, so they have to be searched.
STATES: Final[dict[str, Sequence[State]]] = {
    StateFilter.QUEUED: [State.PENDING],
    StateFilter.ON_HOLD: [State.PENDING],
    StateFilter.WAITING: [State.WAITING],
    StateFilter.FAILED: FAILED,
    StateFilter.NOT_SENT: NOT_SENT,
    **{part: [State(part.value)] for part in WHOLES},
}

# The series of the charts and totals: label and colour with their states. Together they hold every state once.
GROUPS: Final = {
    ("sent", "good"): (State.ACCEPTED,),
    ("on the way", "wait"): OPEN_STATES,
    ("failed", "bad"): FAILED,
    ("not sent", "plain"): NOT_SENT,
}
NEED_A_REASON: Final = (State.WAITING, *FAILED, *NOT_SENT)
# Events that were sent or are to be sent, including those that lack an address.
TO_BE_SENT: Final = (State.ACCEPTED, State.REJECTED, State.EXHAUSTED, *OPEN_STATES)


def filter_of(state: str, *, is_on_hold: bool) -> StateFilter:
    """The narrowest filter that finds events in this state. `is_on_hold` decides where pending ones belong."""
    if state == State.ACCEPTED:
        return StateFilter.SENT
    if state == State.PENDING:
        return StateFilter.ON_HOLD if is_on_hold else StateFilter.QUEUED
    return StateFilter(state)
