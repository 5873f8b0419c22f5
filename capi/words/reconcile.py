"""What is said about the CRM events of a week, by what became of them."""

from typing import Final

from capi.reasons import Reason, State
from capi.words import ON_HOLD, REASONS, STATES, Words

NO_EVENT: Final = Words(
    "No rule",
    "No active rule at that time: nothing is sent to LinkedIn.",
    "Switch a rule on to send what follows. A backfill sends what happened within the last 90 days.",
    "plain",
    topic="no-rule",
)


def became(state: str | None, reason: str, *, is_held: bool) -> Words:
    """The words for CRM events whose conversion events have this state and reason; None: there are none."""
    if state is None:
        return NO_EVENT
    if state == State.PENDING:
        return ON_HOLD if is_held else STATES[State.PENDING]
    words = STATES[State(state)]
    if state == State.ACCEPTED or not reason:
        return words
    why = REASONS[Reason(reason)]
    return Words(words.label, why.what, why.next_step, words.tone, topic=why.topic)
