"""The explanation for an event, connection or rule in its current state."""

from dataclasses import replace
from datetime import date, datetime
from math import ceil
from typing import Final

from django.utils import timezone

from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, Reason, RestCause, State
from capi.selectors.explanations.connection import next_step_of_rest, why_resting
from capi.selectors.explanations.reasons import REASONS, REFUSED_WITH
from capi.selectors.explanations.states import ON_HOLD, STATES, Explanation

NOT_AS_THINGS_STAND: Final = "This isn't possible in the event's current state."

SAME_PERSON_FIRST: Final = replace(
    STATES[State.PENDING],
    what="The rule counts each person once, and another event of this person is sent first.",
    next_step="No action needed: it is sent if LinkedIn clearly rejects the other one, otherwise skipped.",
)

TAKEN_BACK_ON_THE_WAY: Final = replace(
    REASONS[Reason.TAKEN_BACK],
    what="The change was taken back, but may be in a request to LinkedIn that had already begun.",
    next_step="No action needed: if LinkedIn has not accepted it, it ends without being sent.",
)

MAY_HAVE_ARRIVED: Final = (
    "{why}. LinkedIn may have this event all the same, as an attempt had no clear result. "
    "So it still counts where the rule counts once."
)


TRANSIENT: Final = frozenset(
    {
        Reason.SERVER_TROUBLE,
        Reason.TIMED_OUT,
        Reason.UNREACHABLE,
        Reason.ANSWER_UNREADABLE,
        Reason.UNCLEAR,
        Reason.THROTTLED,
    }
)
_TOPICS_OF_RESTS: Final = {
    RestCause.TROUBLE: Reason.SERVER_TROUBLE,
    RestCause.UNCLEAR: Reason.UNCLEAR,
}


def explain(event: ConversionEvent, connection: Connection | None) -> Explanation:
    """The explanation for an event in its current state. `event.rule` should be loaded."""
    state, reason = State(event.state), Reason(event.reason)
    if state == State.PENDING and not event.is_test:
        pending = _explain_pending(event, reason, connection)
        if pending is not None:
            return pending
    words = _explain_end(event, state, reason)
    if (
        event.may_have_arrived
        and not event.is_test
        and state not in (*OPEN_STATES, State.ACCEPTED)
    ):
        step = "No action needed." if reason == Reason.TAKEN_BACK else words.next_step
        why = reason.label if reason else words.label
        return replace(words, what=MAY_HAVE_ARRIVED.format(why=why), next_step=step)
    return words


def _explain_pending(
    event: ConversionEvent, reason: Reason, connection: Connection | None
) -> Explanation | None:
    """What the event waits for, None if it is retried for this reason."""
    if reason == Reason.TAKEN_BACK:
        return TAKEN_BACK_ON_THE_WAY
    now = timezone.now()
    hold = hold_of(event.rule, connection) or explain_rest(connection, now)
    if hold is not None:
        return hold
    seconds = event.seconds_of_grace(now)
    if seconds > 0:
        return explain_grace(seconds)
    if reason == Reason.ALREADY_COUNTED:
        return SAME_PERSON_FIRST
    if reason in TRANSIENT:
        return None
    return STATES[State.PENDING]  # what put it on hold has been fixed


def _explain_end(event: ConversionEvent, state: State, reason: Reason) -> Explanation:
    words = _refused_with(event) or explain_state(state, reason)
    if state not in (State.REJECTED, State.EXHAUSTED) or reason == Reason.NONE:
        return words
    step = _final_step(event, words)
    if step == words.next_step:
        return words
    return replace(words, next_step=step, ask_admin="")


def explain_grace(seconds: float) -> Explanation:
    """The explanation for an event that waits for the end of its grace period."""
    left = f"{ceil(seconds)} s" if seconds < 100 else f"{ceil(seconds / 60)} min"
    return Explanation(
        f"In {left}",
        f"It is sent in {left}. Until then, the change can be undone.",
        "No action needed: it is sent automatically.",
        "wait",
        topic=STATES[State.PENDING].topic,
    )


def already_told(crm_event: str, state: State, count: int) -> str:
    """What LinkedIn may know of `count` events in this state whose change was undone. `crm_event` is the label."""
    name = f"“{crm_event}”"
    if count > 1:
        name += f" ({count:,} conversions)"
    if state == State.ACCEPTED:
        return f"{name} had already been sent to LinkedIn."
    if state == State.PENDING:
        return f"{name} may be in a request to LinkedIn that had already begun. Recent Events shows the result."
    return f"LinkedIn may already have {name}: an earlier attempt had no clear result."


def explain_state(state: State, reason: str) -> Explanation:
    """The explanation for all events with this state and reason."""
    words = REASONS.get(Reason(reason), STATES[state])
    if state in (State.REJECTED, State.EXHAUSTED):
        # A final state needs another label and colour: nothing is retried.
        return replace(words, label=STATES[state].label, tone="bad")
    return words


def countdown(expires_on: date, today: date) -> str:
    """By when to fix the cause: on `expires_on`, the first event on hold gets too old for LinkedIn."""
    days = (expires_on - today).days
    day = f"{expires_on.day} {expires_on:%B}"
    if days > 1:
        left = f"by {day} (in {days} days)"
    elif days == 1:
        left = f"by {day} (tomorrow)"
    else:
        left = "today" if days == 0 else "now"
    return f"Fix this {left}: LinkedIn rejects events older than 90 days."


def explain_pause(reason: str) -> Explanation:
    """The explanation for a paused connection or rule."""
    return REASONS.get(Reason(reason), ON_HOLD) if reason else ON_HOLD


def explain_rest(connection: Connection | None, now: datetime) -> Explanation | None:
    """Why the lane rests for longer than five minutes though nothing is paused, None if it doesn't."""
    if connection is None or not connection.rests_long(now):
        return None
    assert connection.resting_since is not None
    assert connection.next_attempt_at is not None
    cause = RestCause(connection.rest_cause)
    what = why_resting(
        cause, since=connection.resting_since, until=connection.next_attempt_at, now=now
    )
    return Explanation(
        "Queued", what, next_step_of_rest(cause), "wait", topic=topic_of_rest(cause)
    )


def topic_of_rest(cause: RestCause) -> str:
    """The section of the help about a rest."""
    return REASONS[_TOPICS_OF_RESTS.get(cause, Reason.THROTTLED)].topic


def hold_of(rule: ConversionRule, connection: Connection | None) -> Explanation | None:
    """Why events of this rule are on hold, None if they aren't."""
    return hold_of_connection(connection) or (
        explain_pause(rule.paused_reason) if rule.is_paused else None
    )


def hold_of_connection(connection: Connection | None) -> Explanation | None:
    """Why all events of the company are on hold, None if they aren't."""
    if connection is None or not connection.has_token:
        return REASONS[Reason.NO_TOKEN]
    return explain_pause(connection.paused_reason) if connection.is_paused else None


def _refused_with(event: ConversionEvent) -> Explanation | None:
    if event.state == State.REJECTED and event.reason == Reason.DATA_REFUSED:
        return REFUSED_WITH.get(event.http_status or 0)
    return None


def _final_step(event: ConversionEvent, words: Explanation) -> str:
    if event.is_test and event.reason == Reason.DATA_REFUSED:
        return "A test event contains none of your data. Check the rule in Campaign Manager, then press play again."
    if Reason(event.reason) not in TRANSIENT:
        return words.next_step
    if event.reason == Reason.UNCLEAR:
        then = "press play again" if event.is_test else "retry the event"
        return f"Ask the operator of LeadMachine to check the network to LinkedIn, then {then}."
    if event.is_test:
        return "Press play again in a few minutes."
    return STATES[State.EXHAUSTED].next_step


NO_EVENT: Final = Explanation(
    "No rule",
    "No active rule at the time: not sent to LinkedIn.",
    "Switch on a rule to send future events. A backfill sends those of the last 90 days.",
    "plain",
    topic="no-rule",
    ask_admin="Ask an admin to switch on a rule for future events. A backfill sends those of the last 90 days.",
)


def became(state: str | None, reason: str, *, is_on_hold: bool) -> Explanation:
    """The explanation for CRM events by the state of their conversion events. `state` is None if they have none."""
    if state is None:
        return NO_EVENT
    if state == State.PENDING:
        return ON_HOLD if is_on_hold else STATES[State.PENDING]
    words = STATES[State(state)]
    if state == State.ACCEPTED or not reason:
        return words
    why = REASONS[Reason(reason)]
    return replace(why, label=words.label, tone=words.tone, http_status=None)
