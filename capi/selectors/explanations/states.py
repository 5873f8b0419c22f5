"""What each state of an event means, in words."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from capi.models.choices import State

HELP_PAGE: Final = "troubleshooting"  # where each `topic` has its place

Tone = Literal["good", "wait", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, in plain words, and what to do about it ("" where there is nothing to do).

    `http_status` is the answer that the reason stands for, where it stands for one; `topic` is the place in the help
    that says more.
    """

    label: str
    what: str
    next_step: str
    tone: Tone
    http_status: int | None = None
    topic: str = ""


_STATES: Final[dict[State, Explanation]] = {
    State.PENDING: Explanation(
        "Queued", "Waiting to be sent, usually for a few seconds.", "Nothing to do: it goes out by itself.", "wait"
    ),
    State.WAITING: Explanation(
        "Waiting",
        "Waiting for something that is missing.",
        "Enter what is missing: it then goes out by itself.",
        "wait",
    ),
    State.ACCEPTED: Explanation(
        "Sent",
        "LinkedIn accepted the event.",
        "Campaign Manager may take 24 hours to show it, and up to 72 for all figures.",
        "good",
    ),
    State.REJECTED: Explanation(
        "Rejected", "LinkedIn will not take this event.", "LinkedIn's own words say why.", "bad"
    ),
    State.EXPIRED: Explanation(
        "Expired", "The event is too old for LinkedIn.", "Nothing to do: it can't be sent any more.", "bad"
    ),
    State.SKIPPED: Explanation(
        "Skipped", "This event is not sent.", "Nothing to do, unless that is a mistake.", "plain"
    ),
    State.CANCELLED: Explanation(
        "Cancelled",
        "This event was called off before it was sent.",
        "Nothing to do, unless that was a mistake.",
        "plain",
    ),
    State.EXHAUSTED: Explanation("Gave up", "LinkedIn could not be reached often enough.", "Retry it by hand.", "bad"),
}
STATES: Final = {state: replace(words, topic=f"state-{state}") for state, words in _STATES.items()}

ON_HOLD: Final = Explanation(
    "On hold",
    "Kept until sending can go on. Nothing is lost.",
    "The LinkedIn page says what holds it: mend that, then press resume there.",
    "wait",
    topic="on-hold",
)
