"""The catalogue: every sentence that a person reads about a state or a reason stands here, once.

A page says "sent", never "counted": LinkedIn's acceptance says nothing about a match, and Campaign Manager needs
24 hours to show an event and up to 72 for all figures.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Literal

from django.utils import timezone

from capi.linkedin.rules import Outcome
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.reasons import Reason, RestCause, State
from capi.words import rests

HELP_PAGE: Final = "troubleshooting"  # where each `topic` has its place

Tone = Literal["good", "wait", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Words:
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


_STATES: Final[dict[State, Words]] = {
    State.PENDING: Words(
        "Queued", "Waiting to be sent, usually for a few seconds.", "Nothing to do: it goes out by itself.", "wait"
    ),
    State.WAITING: Words(
        "Waiting",
        "Waiting for something that is missing.",
        "Enter what is missing: it then goes out by itself.",
        "wait",
    ),
    State.ACCEPTED: Words(
        "Sent",
        "LinkedIn accepted the event.",
        "Campaign Manager may take 24 hours to show it, and up to 72 for all figures.",
        "good",
    ),
    State.REJECTED: Words("Rejected", "LinkedIn will not take this event.", "LinkedIn's own words say why.", "bad"),
    State.EXPIRED: Words(
        "Expired", "The event is too old for LinkedIn.", "Nothing to do: it can't be sent any more.", "bad"
    ),
    State.SKIPPED: Words("Skipped", "This event is not sent.", "Nothing to do, unless that is a mistake.", "plain"),
    State.CANCELLED: Words(
        "Cancelled",
        "This event was called off before it was sent.",
        "Nothing to do, unless that was a mistake.",
        "plain",
    ),
    State.EXHAUSTED: Words("Gave up", "LinkedIn could not be reached often enough.", "Retry it by hand.", "bad"),
}
STATES: Final = {state: replace(words, topic=f"state-{state}") for state, words in _STATES.items()}

ON_HOLD: Final = Words(
    "On hold",
    "Kept until sending can go on. Nothing is lost.",
    "The LinkedIn page says what holds it: mend that, then press resume there.",
    "wait",
    topic="on-hold",
)

_REASONS: Final[dict[Reason, Words]] = {
    Reason.NO_EMAIL: Words(
        "Waiting for an e-mail",
        "The lead has no e-mail address; LinkedIn would answer 422, data is missing.",
        "Enter an address on the lead's page within 90 days: the event then goes out by itself.",
        "wait",
    ),
    Reason.OPTED_OUT: Words(
        "Skipped",
        "The lead is not shared with ad platforms.",
        "Nothing, unless that is a mistake: the switch is on the lead's page.",
        "plain",
    ),
    Reason.ALREADY_COUNTED: Words(
        "Skipped",
        "This rule counts each lead or deal once, and an earlier event has taken that place.",
        "Nothing. To send every event, set the rule to “every time”.",
        "plain",
    ),
    Reason.TOO_OLD: Words(
        "Expired", "LinkedIn takes events for 90 days, and this one is older.", "It can't be sent any more.", "bad"
    ),
    Reason.LEAD_DELETED: Words("Cancelled", "The lead was deleted before the event was sent.", "Nothing.", "plain"),
    Reason.DEAL_DELETED: Words("Cancelled", "The deal was deleted before the event was sent.", "Nothing.", "plain"),
    Reason.ERASED: Words(
        "Cancelled",
        "The person was erased before the event was sent.",
        "Nothing: it can't be sent any more.",
        "plain",
    ),
    Reason.CANCELLED_BY_HAND: Words(
        "Cancelled",
        "Somebody of your company called this event off before it was sent.",
        "Nothing. If that was a mistake, retry it until it is 90 days old.",
        "plain",
    ),
    Reason.RULE_INACTIVE: Words(
        "Cancelled",
        "The rule was switched off before the event was sent.",
        "Switch the rule on to send the events that follow; this one can then be retried.",
        "plain",
    ),
    Reason.RULE_DELETED: Words("Cancelled", "The rule was deleted before the event was sent.", "Nothing.", "plain"),
    Reason.BACKFILL_CANCELLED: Words(
        "Cancelled", "The backfill that the event was part of was cancelled before it was sent.", "Nothing.", "plain"
    ),
    Reason.DATA_REFUSED: Words(
        "Rejected",
        "LinkedIn found the data of this event wrong or incomplete (400, 409 or 422).",
        "LinkedIn's own words say why. Correct what they name, then retry the event: "
        "unchanged it would be refused again.",
        "bad",
    ),
    Reason.REFUSED: Words(
        "On hold",
        "LinkedIn refused the request itself (501, 405 and the like). "
        "That points to a change at LinkedIn or a fault in LeadMachine.",
        "Tell whoever runs LeadMachine; then resume the rule on the LinkedIn page.",
        "bad",
    ),
    Reason.THROTTLED: Words(
        "Queued", "LinkedIn asked us to slow down (429).", "Nothing: sending goes on by itself after a pause.", "wait"
    ),
    Reason.SERVER_TROUBLE: Words(
        "Trying again",
        "LinkedIn could not take the event just then (5xx, 408 and the like).",
        "Nothing: it is tried again for three days.",
        "wait",
    ),
    Reason.TIMED_OUT: Words(
        "Trying again",
        "LinkedIn did not answer in time, so that it is not known whether the event arrived.",
        "Nothing: it is tried again with the same event id.",
        "wait",
    ),
    Reason.UNREACHABLE: Words(
        "Trying again",
        "LinkedIn could not be reached over the network.",
        "Nothing, if it was a short disturbance. If it stays so, ask whoever runs LeadMachine to check the network.",
        "wait",
    ),
    Reason.ANSWER_UNREADABLE: Words(
        "Trying again",
        "LinkedIn's answer was cut off, could not be read, or did not say plainly that the event was accepted.",
        "Nothing: it is tried again with the same event id.",
        "wait",
    ),
    Reason.RULE_FORBIDDEN: Words(
        "On hold",
        "LinkedIn says 403: the token has no permission for this ad account, or does not know this rule id.",
        "Compare the rule id with Campaign Manager, and check that whoever made the token may manage the ad account. "
        "Then edit or resume the rule.",
        "bad",
        403,
    ),
    Reason.RULE_NOT_FOUND: Words(
        "On hold",
        "LinkedIn says 404: there is no conversion rule with this id.",
        "Copy the rule id from Campaign Manager again and save the rule.",
        "bad",
        404,
    ),
    Reason.RULE_MISCONFIGURED: Words(
        "On hold",
        "LinkedIn refuses everything for this rule: it is switched off there, or not set up for the Conversions API.",
        "In Campaign Manager, enable the rule and set its source to “Conversions API (direct)”, then press resume.",
        "bad",
    ),
    Reason.NO_TOKEN: Words("On hold", "No access token is saved.", "Paste one on the LinkedIn page (step 1).", "wait"),
    Reason.TOKEN_REFUSED: Words(
        "On hold",
        "LinkedIn says 401: the access token is expired, revoked or invalid.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page. What is on hold then goes out.",
        "bad",
        401,
    ),
    Reason.TOKEN_UNREADABLE: Words(
        "On hold",
        "The saved access token can't be opened with the keys of this installation.",
        "Save the token again, or ask whoever runs LeadMachine to bring back the old LEADMACHINE_TOKEN_KEYS.",
        "bad",
    ),
    Reason.VERSION_RETIRED: Words(
        "On hold",
        "LinkedIn says 426: it has retired the version of its API that LeadMachine uses.",
        "Whoever runs LeadMachine sets LINKEDIN_API_VERSION to a newer one. What is on hold then goes out.",
        "bad",
        426,
    ),
    Reason.COMPANY_CLOSED: Words(
        "Cancelled",
        "The company was deactivated before the event was sent.",
        "Whoever runs LeadMachine can activate the company again; the events that follow are then sent.",
        "bad",
    ),
}
REASONS: Final = {reason: replace(words, topic=f"reason-{reason}") for reason, words in _REASONS.items()}

# The same reason with one status or the other: a lead can be corrected, a moment can't.
REFUSED_WITH: Final[dict[int, Words]] = {
    400: Words(
        "Rejected",
        "LinkedIn says 400: something in this event is not as it may be, for example its time.",
        "LinkedIn's own words say what. A time that is too old, or lies ahead, can't be corrected: such an event stays "
        "out. If they speak of the person, correct the lead and retry the event.",
        "bad",
        400,
        topic="reason-data_refused-400",
    ),
    422: Words(
        "Rejected",
        "LinkedIn says 422: something in this event is missing or has the wrong form.",
        "LinkedIn's own words say what. Correct it on the lead or the deal and retry the event; if it is nothing that "
        "stands there, tell whoever runs LeadMachine.",
        "bad",
        422,
        topic="reason-data_refused-422",
    ),
}

_PASTE: Final = "Or copy the id of each rule from Campaign Manager and add the rule by hand."

# What came of reading an ad account's rules.
_READINGS: Final[dict[Outcome, Words]] = {
    Outcome.FOUND: Words(
        "Read", "LinkedIn listed the rules of this ad account.", "Choose a CRM event for each that you want.", "good"
    ),
    Outcome.CANNOT_TELL: Words(
        "Can't read",
        "LinkedIn says 403: this token may send events but not read rules, or it does not know this ad account. "
        "The first is normal for a Direct API token, and sending works all the same.",
        f"Compare the ad account id with Campaign Manager. {_PASTE}",
        "wait",
        403,
    ),
    Outcome.TOKEN_REFUSED: REASONS[Reason.TOKEN_REFUSED],
    Outcome.VERSION_RETIRED: REASONS[Reason.VERSION_RETIRED],
    Outcome.REFUSED: Words(
        "Refused",
        "LinkedIn refused to list the rules of this ad account.",
        f"Compare the ad account id with Campaign Manager. {_PASTE}",
        "bad",
    ),
    Outcome.SERVER_TROUBLE: Words(
        "Not now",
        "LinkedIn has trouble of its own, or asks us to slow down.",
        f"Try again in a few minutes. {_PASTE}",
        "wait",
    ),
    Outcome.UNREACHABLE: Words(
        "No answer",
        "LinkedIn did not answer in time, or could not be reached.",
        f"Try again in a few minutes. {_PASTE}",
        "wait",
    ),
    Outcome.UNREADABLE: Words(
        "Unreadable", "LinkedIn's answer is no list of rules that could be read.", f"Try again. {_PASTE}", "wait"
    ),
}

READINGS: Final = {
    outcome: words if words.topic else replace(words, topic=f"reading-{outcome}")
    for outcome, words in _READINGS.items()
}

NOT_AS_THINGS_STAND: Final = "In the state that the event is in, this can't be done."
REFUSED_TEST: Final = "A test holds nothing of yours: look at the rule in Campaign Manager, then press play again."

TRANSIENT: Final = frozenset(
    {Reason.SERVER_TROUBLE, Reason.TIMED_OUT, Reason.UNREACHABLE, Reason.ANSWER_UNREADABLE, Reason.THROTTLED}
)


def explain(event: ConversionEvent, connection: Connection | None) -> Words:
    """What to tell a person about this event, as things stand. `event.rule` should be loaded."""
    state, reason = State(event.state), Reason(event.reason)
    if state == State.PENDING and not event.is_test:
        hold = hold_of(event.rule, connection)
        if hold is not None:
            return hold
        rest = explain_rest(connection, timezone.now())
        if rest is not None:
            return rest
        if reason not in TRANSIENT:
            return STATES[state]  # what held it is mended, and its turn comes
    words = _refused_with(event) or explain_state(state, reason)
    if state in (State.REJECTED, State.EXHAUSTED) and reason != Reason.NONE:
        return replace(words, next_step=_final_step(event, words))
    return words


def explain_state(state: State, reason: str) -> Words:
    """What to tell a person about all events that are in this state for this reason."""
    words = REASONS.get(Reason(reason), STATES[state])
    if state in (State.REJECTED, State.EXHAUSTED):
        # The same reason reads differently once it is final: nothing is tried again.
        return replace(words, label=STATES[state].label, tone="bad")
    return words


def countdown(expires_on: date, today: date) -> str:
    """When the first of the events on hold will be too old for LinkedIn."""
    days = (expires_on - today).days
    left = {0: "today", 1: "tomorrow"}.get(days, f"in {days} days") if days >= 0 else "now"
    on = f", on {expires_on.day} {expires_on:%B}" if days > 0 else ""
    return f"The first of them turns 90 days {left}{on}: after that LinkedIn does not take it any more."


def explain_pause(reason: str) -> Words:
    """What to tell a person about a paused connection or rule."""
    return REASONS.get(Reason(reason), ON_HOLD) if reason else ON_HOLD


def explain_rest(connection: Connection | None, now: datetime) -> Words | None:
    """Why nothing is sent for longer than five minutes though nothing is paused; None while that is not so."""
    if connection is None or not connection.rests_long(now):
        return None
    assert connection.resting_since is not None
    assert connection.next_attempt_at is not None
    cause = RestCause(connection.rest_cause)
    what = rests.why(cause, since=connection.resting_since, until=connection.next_attempt_at, now=now)
    return Words("Queued", what, rests.NEXT_STEP, "wait", topic=topic_of_rest(cause))


def topic_of_rest(cause: RestCause) -> str:
    """Where the help says more about a rest."""
    return REASONS[Reason.SERVER_TROUBLE if cause == RestCause.TROUBLE else Reason.THROTTLED].topic


def hold_of(rule: ConversionRule, connection: Connection | None) -> Words | None:
    """Why events of this rule are on hold, None where they are not."""
    return hold_of_line(connection) or (explain_pause(rule.paused_reason) if rule.is_paused else None)


def hold_of_line(connection: Connection | None) -> Words | None:
    """Why all of a company's events are on hold, None where they are not."""
    if connection is None or not connection.has_token:
        return REASONS[Reason.NO_TOKEN]
    return explain_pause(connection.paused_reason) if connection.is_paused else None


def _refused_with(event: ConversionEvent) -> Words | None:
    if event.state == State.REJECTED and event.reason == Reason.DATA_REFUSED:
        return REFUSED_WITH.get(event.http_status or 0)
    return None


def _final_step(event: ConversionEvent, words: Words) -> str:
    if event.is_test and event.reason == Reason.DATA_REFUSED:
        return REFUSED_TEST
    if Reason(event.reason) not in TRANSIENT:
        return words.next_step
    return "Press play again in a few minutes." if event.is_test else STATES[State.EXHAUSTED].next_step
