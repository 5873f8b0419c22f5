"""What each reason means and what to do about it, in words."""

from dataclasses import replace
from typing import Final

from capi.linkedin.rules import ReadStatus
from capi.models.choices import Reason
from capi.selectors.explanations.states import Explanation

# --- The catalogue: every sentence that a person reads about a state or a reason stands here, once.

_REASONS: Final[dict[Reason, Explanation]] = {
    Reason.NO_EMAIL: Explanation(
        "Waiting for an e-mail",
        "The lead has no e-mail address; LinkedIn would answer 422, data is missing.",
        "Enter an address on the lead's page within 90 days: the event then goes out by itself.",
        "wait",
    ),
    Reason.OPTED_OUT: Explanation(
        "Skipped",
        "The lead is not shared with ad platforms.",
        "Nothing, unless that is a mistake: the switch is on the lead's page.",
        "plain",
    ),
    Reason.ALREADY_COUNTED: Explanation(
        "Skipped",
        "This rule counts each lead or deal once, and an earlier event has taken that place.",
        "Nothing. To send every event, set the rule to “every time”.",
        "plain",
    ),
    Reason.TOO_OLD: Explanation(
        "Expired", "LinkedIn takes events for 90 days, and this one is older.", "It can't be sent any more.", "bad"
    ),
    Reason.LEAD_DELETED: Explanation(
        "Cancelled", "The lead was deleted before the event was sent.", "Nothing.", "plain"
    ),
    Reason.DEAL_DELETED: Explanation(
        "Cancelled", "The deal was deleted before the event was sent.", "Nothing.", "plain"
    ),
    Reason.ERASED: Explanation(
        "Cancelled",
        "The person was erased before the event was sent.",
        "Nothing: it can't be sent any more.",
        "plain",
    ),
    Reason.CANCELLED_BY_HAND: Explanation(
        "Cancelled",
        "Somebody of your company called this event off before it was sent.",
        "Nothing. If that was a mistake, retry it until it is 90 days old.",
        "plain",
    ),
    Reason.RULE_INACTIVE: Explanation(
        "Cancelled",
        "The rule was switched off before the event was sent.",
        "Switch the rule on to send the events that follow; this one can then be retried.",
        "plain",
    ),
    Reason.RULE_DELETED: Explanation(
        "Cancelled", "The rule was deleted before the event was sent.", "Nothing.", "plain"
    ),
    Reason.BACKFILL_CANCELLED: Explanation(
        "Cancelled", "The backfill that the event was part of was cancelled before it was sent.", "Nothing.", "plain"
    ),
    Reason.DATA_REFUSED: Explanation(
        "Rejected",
        "LinkedIn found the data of this event wrong or incomplete (400, 409 or 422).",
        "LinkedIn's own words say why. Correct what they name, then retry the event: "
        "unchanged it would be refused again.",
        "bad",
    ),
    Reason.REFUSED: Explanation(
        "On hold",
        "LinkedIn refused the request itself (501, 405 and the like). "
        "That points to a change at LinkedIn or a fault in LeadMachine.",
        "Tell whoever runs LeadMachine; then resume the rule on the LinkedIn page.",
        "bad",
    ),
    Reason.THROTTLED: Explanation(
        "Queued", "LinkedIn asked us to slow down (429).", "Nothing: sending goes on by itself after a pause.", "wait"
    ),
    Reason.SERVER_TROUBLE: Explanation(
        "Trying again",
        "LinkedIn could not take the event just then (5xx, 408 and the like).",
        "Nothing: it is tried again for three days.",
        "wait",
    ),
    Reason.TIMED_OUT: Explanation(
        "Trying again",
        "LinkedIn did not answer in time, so that it is not known whether the event arrived.",
        "Nothing: it is tried again with the same event id.",
        "wait",
    ),
    Reason.UNREACHABLE: Explanation(
        "Trying again",
        "LinkedIn could not be reached over the network.",
        "Nothing, if it was a short disturbance. If it stays so, ask whoever runs LeadMachine to check the network.",
        "wait",
    ),
    Reason.ANSWER_UNREADABLE: Explanation(
        "Trying again",
        "LinkedIn's answer was cut off, could not be read, or did not say plainly that the event was accepted.",
        "Nothing: it is tried again with the same event id.",
        "wait",
    ),
    Reason.RULE_FORBIDDEN: Explanation(
        "On hold",
        "LinkedIn says 403: the token has no permission for this ad account, or does not know this rule id.",
        "Compare the rule id with Campaign Manager, and check that whoever made the token may manage the ad account. "
        "Then edit or resume the rule.",
        "bad",
        403,
    ),
    Reason.RULE_NOT_FOUND: Explanation(
        "On hold",
        "LinkedIn says 404: there is no conversion rule with this id.",
        "Copy the rule id from Campaign Manager again and save the rule.",
        "bad",
        404,
    ),
    Reason.RULE_MISCONFIGURED: Explanation(
        "On hold",
        "LinkedIn refuses everything for this rule: it is switched off there, or not set up for the Conversions API.",
        "In Campaign Manager, enable the rule and set its source to “Conversions API (direct)”, then press resume.",
        "bad",
    ),
    Reason.NO_TOKEN: Explanation(
        "On hold", "No access token is saved.", "Paste one on the LinkedIn page (step 1).", "wait"
    ),
    Reason.TOKEN_REFUSED: Explanation(
        "On hold",
        "LinkedIn says 401: the access token is expired, revoked or invalid.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page. What is on hold then goes out.",
        "bad",
        401,
    ),
    Reason.TOKEN_UNREADABLE: Explanation(
        "On hold",
        "The saved access token can't be opened with the keys of this installation.",
        "Save the token again, or ask whoever runs LeadMachine to bring back the old LEADMACHINE_TOKEN_KEYS.",
        "bad",
    ),
    Reason.VERSION_RETIRED: Explanation(
        "On hold",
        "LinkedIn says 426: it has retired the version of its API that LeadMachine uses.",
        "Whoever runs LeadMachine sets LINKEDIN_API_VERSION to a newer one. What is on hold then goes out.",
        "bad",
        426,
    ),
    Reason.COMPANY_CLOSED: Explanation(
        "Cancelled",
        "The company was deactivated before the event was sent.",
        "Whoever runs LeadMachine can activate the company again; the events that follow are then sent.",
        "bad",
    ),
}
REASONS: Final = {reason: replace(words, topic=f"reason-{reason}") for reason, words in _REASONS.items()}

# The same reason with one status or the other: a lead can be corrected, a moment can't.
REFUSED_WITH: Final[dict[int, Explanation]] = {
    400: Explanation(
        "Rejected",
        "LinkedIn says 400: something in this event is not as it may be, for example its time.",
        "LinkedIn's own words say what. A time that is too old, or lies ahead, can't be corrected: such an event stays "
        "out. If they speak of the person, correct the lead and retry the event.",
        "bad",
        400,
        topic="reason-data_refused-400",
    ),
    422: Explanation(
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
_READINGS: Final[dict[ReadStatus, Explanation]] = {
    ReadStatus.FOUND: Explanation(
        "Read", "LinkedIn listed the rules of this ad account.", "Choose a CRM event for each that you want.", "good"
    ),
    ReadStatus.CANNOT_TELL: Explanation(
        "Can't read",
        "LinkedIn says 403: this token may send events but not read rules, or it does not know this ad account. "
        "The first is normal for a Direct API token, and sending works all the same.",
        f"Compare the ad account id with Campaign Manager. {_PASTE}",
        "wait",
        403,
    ),
    ReadStatus.TOKEN_REFUSED: REASONS[Reason.TOKEN_REFUSED],
    ReadStatus.VERSION_RETIRED: REASONS[Reason.VERSION_RETIRED],
    ReadStatus.REFUSED: Explanation(
        "Refused",
        "LinkedIn refused to list the rules of this ad account.",
        f"Compare the ad account id with Campaign Manager. {_PASTE}",
        "bad",
    ),
    ReadStatus.SERVER_TROUBLE: Explanation(
        "Not now",
        "LinkedIn has trouble of its own, or asks us to slow down.",
        f"Try again in a few minutes. {_PASTE}",
        "wait",
    ),
    ReadStatus.UNREACHABLE: Explanation(
        "No answer",
        "LinkedIn did not answer in time, or could not be reached.",
        f"Try again in a few minutes. {_PASTE}",
        "wait",
    ),
    ReadStatus.UNREADABLE: Explanation(
        "Unreadable", "LinkedIn's answer is no list of rules that could be read.", f"Try again. {_PASTE}", "wait"
    ),
}

READINGS: Final = {
    outcome: words if words.topic else replace(words, topic=f"reading-{outcome}")
    for outcome, words in _READINGS.items()
}
