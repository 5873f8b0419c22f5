"""What each state of an event means."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from capi.models.choices import State

HELP_PAGE: Final = "troubleshooting"  # the help page with a section for each `topic`

Tone = Literal["good", "wait", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, in plain words, and what to do about it ("" if nothing).

    `ask_admin` is the next step for non-admins, where `next_step` needs an admin ("" if it doesn't).
    `http_status` is LinkedIn's response status, for reasons that have one. `topic` is the section of the help page.
    """

    label: str
    what: str
    next_step: str
    tone: Tone
    http_status: int | None = None
    topic: str = ""
    ask_admin: str = ""


_STATES: Final[dict[State, Explanation]] = {
    State.PENDING: Explanation(
        "Queued",
        "Waiting to be sent, usually for a few seconds.",
        "No action needed: it is sent automatically.",
        "wait",
    ),
    State.WAITING: Explanation(
        "Waiting",
        "Some of its data is missing.",
        "Add what is missing, and the event is sent automatically.",
        "wait",
    ),
    State.ACCEPTED: Explanation(
        "Sent",
        "LinkedIn accepted the event.",
        "Campaign Manager may take 24 hours to show it, and up to 72 to update all figures.",
        "good",
    ),
    State.REJECTED: Explanation(
        "Rejected",
        "LinkedIn rejected this event.",
        "LinkedIn's message says why.",
        "bad",
    ),
    State.EXPIRED: Explanation(
        "Expired",
        "The event is too old for LinkedIn.",
        "It can no longer be sent.",
        "bad",
    ),
    State.SKIPPED: Explanation(
        "Skipped",
        "This event is not sent.",
        "No action needed, unless this is a mistake.",
        "plain",
    ),
    State.CANCELLED: Explanation(
        "Cancelled",
        "This event was cancelled before it was sent.",
        "No action needed, unless this was a mistake.",
        "plain",
    ),
    State.EXHAUSTED: Explanation(
        "Gave up", "Every attempt to send it failed.", "Retry it manually.", "bad"
    ),
}
STATES: Final = {
    state: replace(words, topic=f"state-{state}") for state, words in _STATES.items()
}

ON_HOLD: Final = Explanation(
    "On hold",
    "Kept until sending can continue. Nothing is lost.",
    "The LinkedIn page says why. Fix that, then press Resume there.",
    "wait",
    topic="on-hold",
    ask_admin="The LinkedIn page says why. Ask an admin to fix that and press Resume there.",
)

TEST_EVENT: Final = Explanation(
    "Test",
    "Test events are sent once.",
    "To repeat a test, press play on the LinkedIn page.",
    "plain",
)
