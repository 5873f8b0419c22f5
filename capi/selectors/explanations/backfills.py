"""The sentences about backfills: where one stands, and what becomes of past events."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from capi.models import Backfill, Connection, ConversionRule
from capi.models.choices import BackfillOutcome, BackfillState, Reason
from capi.selectors.explanations.explain import hold_of
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.rules import counting_warning
from capi.selectors.explanations.states import Explanation

_BACKFILLS: Final[dict[BackfillState, Explanation]] = {
    BackfillState.RUNNING: Explanation(
        "Running", "Past events are sent behind what happens now.", "Nothing to do: it goes on by itself.", "wait"
    ),
    BackfillState.PAUSED: Explanation(
        "Paused", "Nothing more of it is queued.", "Resume it: it goes on where it stopped.", "wait"
    ),
    BackfillState.DONE: Explanation(
        "Done",
        "All past events of the period have been gone through.",
        "Recent events says what became of each.",
        "good",
    ),
    BackfillState.CANCELLED: Explanation(
        "Cancelled",
        "It was cancelled, with what of it had not been sent.",
        "Nothing to do. A new backfill sends what is left.",
        "plain",
    ),
}
BACKFILLS: Final = {state: replace(words, topic=f"backfill-{state}") for state, words in _BACKFILLS.items()}
ENDS_OF_BACKFILLS: Final[dict[Reason, str]] = {
    Reason.RULE_DELETED: "Its rule was deleted.",
    Reason.COMPANY_CLOSED: "The company was deactivated.",
}
RULE_OFF: Final = Explanation(
    "On hold",
    "The rule is switched off.",
    "Switch it on on the LinkedIn page, or cancel the backfill.",
    "wait",
    topic="backfill-rule-off",
)
NO_ACTIVE_RULE: Final = Explanation(
    "No active rule",
    "A backfill is sent by a rule that is switched on, and there is none.",
    "Switch one on on the LinkedIn page.",
    "plain",
    topic="backfill-no-rule",
)

OUTCOMES: Final[dict[BackfillOutcome, str]] = {
    BackfillOutcome.GOES: "They go out as soon as nothing newer is due.",
    BackfillOutcome.NO_EMAIL: "The lead has no e-mail address. Once one is entered they go out, "
    "within 90 days of the event.",
    BackfillOutcome.OPTED_OUT: REASONS[Reason.OPTED_OUT].what,
    BackfillOutcome.ALREADY_COUNTED: "The rule counts each lead or deal once, and another event has that place: "
    "the oldest, or one that was planned when it happened.",
    BackfillOutcome.TOO_OLD: "LinkedIn takes events for 90 days, and these are older.",
    BackfillOutcome.SENT: "LinkedIn has accepted them. They are not sent again.",
    BackfillOutcome.KNOWN: "Queued, waiting or ended: Recent events says why. They are not planned again.",
    BackfillOutcome.LEAD_DELETED: "There is nobody left to report.",
    BackfillOutcome.DEAL_DELETED: "There is no deal left to report.",
}

OLD_EVENTS: Final = (
    "LinkedIn counts a conversion only within the windows that are set for it in Campaign Manager: an old event may "
    "be accepted and yet be counted for no ad."
)


def explain_backfill(backfill: Backfill, connection: Connection | None) -> Explanation:
    """What to tell a person about this backfill, as things stand. `backfill.rule` should be loaded."""
    state, rule = BackfillState(backfill.state), backfill.rule
    if state == BackfillState.RUNNING:
        return hold_of(rule, connection) or (BACKFILLS[state] if rule.is_active else RULE_OFF)
    ended_by = ENDS_OF_BACKFILLS.get(Reason(backfill.reason))
    return replace(BACKFILLS[state], what=ended_by) if ended_by else BACKFILLS[state]


def warnings(rules: Iterable[ConversionRule]) -> list[str]:
    """What to know before past events of these rules are sent."""
    counting = (counting_warning(rule.crm_event, rule.linkedin_type) for rule in rules)
    return [OLD_EVENTS, *dict.fromkeys(filter(None, counting))]
