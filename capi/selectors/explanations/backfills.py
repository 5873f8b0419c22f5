"""Texts about backfills: their states, and the outcomes of past events."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from capi.models import Backfill, Connection, ConversionRule
from capi.models.choices import BackfillOutcome, Reason
from capi.selectors.explanations.explain import hold_of
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.rules import counting_warning
from capi.selectors.explanations.states import Explanation
from crm.models.job import JobState

_BACKFILLS: Final[dict[JobState, Explanation]] = {
    JobState.WAITING: Explanation(
        "Waiting",
        "It begins once no new event is due.",
        "No action needed: it begins automatically.",
        "wait",
    ),
    JobState.RUNNING: Explanation(
        "Running",
        "Past events are sent after new ones.",
        "No action needed: it continues automatically.",
        "wait",
    ),
    JobState.PAUSED: Explanation(
        "Paused",
        "It queues no more events.",
        "Resume it to continue where it stopped.",
        "wait",
    ),
    JobState.DONE: Explanation(
        "Done",
        "All past events in the period have been processed.",
        "Recent Events shows the outcome of each.",
        "good",
    ),
    JobState.CANCELLED: Explanation(
        "Cancelled",
        "It was cancelled, along with its events that had not been sent.",
        "No action needed. A new backfill sends the rest.",
        "plain",
    ),
    JobState.FAILED: Explanation(
        "Failed",
        "It could not go on. What it has queued is still sent.",
        "Start a new backfill for the rest.",
        "bad",
    ),
}
BACKFILLS: Final = {
    state: replace(words, topic=f"backfill-{state}")
    for state, words in _BACKFILLS.items()
}
ENDS_OF_BACKFILLS: Final[dict[Reason, str]] = {
    Reason.RULE_DELETED: "Its rule was deleted.",
    Reason.COMPANY_CLOSED: "The company was deactivated.",
}
RULE_OFF: Final = Explanation(
    "On hold",
    "The rule is switched off.",
    "Switch on the rule on the LinkedIn page, or cancel the backfill.",
    "wait",
    topic="backfill-rule-off",
)
NO_ACTIVE_RULE: Final = Explanation(
    "No active rule",
    "A backfill needs a rule that is switched on.",
    "Switch on a rule on the LinkedIn page.",
    "plain",
    topic="backfill-no-rule",
)

OUTCOMES: Final[dict[BackfillOutcome, str]] = {
    BackfillOutcome.GOES: "They are sent as soon as no newer event is due.",
    BackfillOutcome.NO_EMAIL: "The lead has no e-mail address. They are sent once one is added, "
    "within 90 days of the event.",
    BackfillOutcome.OPTED_OUT: REASONS[Reason.OPTED_OUT].what,
    BackfillOutcome.ALREADY_COUNTED: "The rule sends one event for each lead or deal, or for each person, and there is "
    "another: the oldest, or one planned when it happened.",
    BackfillOutcome.TOO_OLD: "They are older than 90 days. LinkedIn would reject them.",
    BackfillOutcome.SENT: "LinkedIn has accepted them. They are not sent again.",
    BackfillOutcome.KNOWN: "Queued, waiting or final: Recent Events shows why. They are not planned again.",
    BackfillOutcome.LEAD_DELETED: "There is no lead left to report.",
    BackfillOutcome.DEAL_DELETED: "There is no deal left to report.",
}

OLD_EVENTS: Final = (
    "LinkedIn counts a conversion only within the windows set for it in Campaign Manager. It may accept an old event "
    "but count it for no ad."
)


def explain_backfill(backfill: Backfill, connection: Connection | None) -> Explanation:
    """The explanation for a backfill in its current state. `backfill.rule` should be loaded."""
    state, rule = JobState(backfill.state), backfill.rule
    if backfill.is_at_work:
        return hold_of(rule, connection) or (
            BACKFILLS[state] if rule.is_active else RULE_OFF
        )
    ended_by = backfill.problem or ENDS_OF_BACKFILLS.get(Reason(backfill.reason))
    return replace(BACKFILLS[state], what=ended_by) if ended_by else BACKFILLS[state]


def warnings(rules: Iterable[ConversionRule]) -> list[str]:
    """Warnings to show before sending past events of these rules."""
    counting = (counting_warning(rule.crm_event, rule.linkedin_type) for rule in rules)
    return [OLD_EVENTS, *dict.fromkeys(filter(None, counting))]
