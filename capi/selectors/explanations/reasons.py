"""What each reason means and what to do about it."""

from dataclasses import replace
from typing import Final

from capi.linkedin.rules import ReadStatus
from capi.models.choices import BackfillOutcome, Reason
from capi.selectors.explanations.states import Explanation

_REASONS: Final[dict[Reason, Explanation]] = {
    Reason.NO_EMAIL: Explanation(
        BackfillOutcome.NO_EMAIL.label,  # the same words, in one place
        "The lead has no e-mail address. LinkedIn would reject the event (422).",
        "Add an address on the lead's page within 90 days, and the event is sent automatically.",
        "wait",
    ),
    Reason.OPTED_OUT: Explanation(
        "Skipped",
        "The lead is not shared with ad platforms.",
        "No action needed. If this is a mistake, change the setting on the lead's page.",
        "plain",
    ),
    Reason.ALREADY_COUNTED: Explanation(
        "Skipped",
        "This rule sends one event for each lead or deal, or for each person, and there is another one.",
        "No action needed. To send every event, set the rule to “Every time”.",
        "plain",
    ),
    Reason.MERGED: Explanation(
        "Skipped",
        "It waited for an e-mail address, and its lead was merged with one that the rule has reported or is about to.",
        "No action needed. If the other event turns out to be rejected or too old, this one is sent.",
        "plain",
    ),
    Reason.TOO_OLD: Explanation(
        "Expired",
        "The event is older than 90 days. LinkedIn would reject it.",
        "It can no longer be sent.",
        "bad",
    ),
    Reason.LEAD_DELETED: Explanation(
        "Cancelled",
        "The lead was deleted before the event was sent.",
        "No action needed.",
        "plain",
    ),
    Reason.DEAL_DELETED: Explanation(
        "Cancelled",
        "The deal was deleted before the event was sent.",
        "No action needed.",
        "plain",
    ),
    Reason.ERASED: Explanation(
        "Cancelled",
        "The person was erased before the event was sent.",
        "No action needed: the event can no longer be sent.",
        "plain",
    ),
    Reason.TAKEN_BACK: Explanation(
        "Taken back",
        "The change in the CRM was undone before the event was sent.",
        "No action needed. If it is made again, a new event is sent.",
        "plain",
    ),
    Reason.CANCELLED_BY_HAND: Explanation(
        "Cancelled",
        "Someone in your company cancelled this event before it was sent.",
        "No action needed. If this was a mistake, retry it before it is 90 days old.",
        "plain",
    ),
    Reason.RULE_INACTIVE: Explanation(
        "Cancelled",
        "The rule was switched off before the event was sent.",
        "Switch on the rule to send future events. You can then retry this one.",
        "plain",
        ask_admin="Ask an admin to switch on the rule. You can then retry this event.",
    ),
    Reason.RULE_DELETED: Explanation(
        "Cancelled",
        "The rule was deleted before the event was sent.",
        "No action needed.",
        "plain",
    ),
    Reason.BACKFILL_CANCELLED: Explanation(
        "Cancelled",
        "The event's backfill was cancelled before the event was sent.",
        "No action needed.",
        "plain",
    ),
    Reason.DATA_REFUSED: Explanation(
        "Rejected",
        "LinkedIn rejected the event's data as wrong or incomplete (400, 409 or 422).",
        "LinkedIn's message says why. Correct the data, then retry the event. Unchanged, it would be rejected again.",
        "bad",
    ),
    Reason.REFUSED: Explanation(
        "On hold",
        "LinkedIn rejected the request itself (501, 405 or similar). "
        "LinkedIn may have changed, or LeadMachine may have a bug.",
        "Contact the operator of LeadMachine, then resume the rule on the LinkedIn page.",
        "bad",
        ask_admin="Contact the operator of LeadMachine, then ask an admin to resume the rule.",
    ),
    Reason.THROTTLED: Explanation(
        "Queued",
        "LinkedIn asked us to slow down (429).",
        "No action needed: sending continues automatically after a wait.",
        "wait",
    ),
    Reason.SERVER_TROUBLE: Explanation(
        "Retrying",
        "LinkedIn could not process the event (5xx, 408 or similar).",
        "No action needed: it is retried for three days.",
        "wait",
    ),
    Reason.TIMED_OUT: Explanation(
        "Retrying",
        "LinkedIn did not respond in time, so the event may or may not have arrived.",
        "No action needed: it is retried with the same event id.",
        "wait",
    ),
    Reason.UNREACHABLE: Explanation(
        "Retrying",
        "LinkedIn could not be reached over the network.",
        "A short interruption needs no action. If it continues, ask the operator of LeadMachine to check the network.",
        "wait",
    ),
    Reason.ANSWER_UNREADABLE: Explanation(
        "Retrying",
        "LinkedIn's response was cut off or unreadable, so the event may or may not have arrived.",
        "No action needed: it is retried with the same event id.",
        "wait",
    ),
    Reason.UNCLEAR: Explanation(
        "Retrying",
        "The response does not look like LinkedIn's. A proxy, gateway or firewall on the way has probably sent it.",
        "It is retried for about eight hours. If this continues, ask the operator of LeadMachine to check the network.",
        "wait",
    ),
    Reason.RULE_FORBIDDEN: Explanation(
        "On hold",
        "LinkedIn says 403: the token has no permission for this ad account, or the rule id is unknown.",
        "Compare the rule id with Campaign Manager, and check that the person who generated the token can manage the "
        "ad account. Then edit or resume the rule.",
        "bad",
        403,
        ask_admin="Ask an admin to compare the rule id with Campaign Manager, and to check that the person who "
        "generated the token can manage the ad account.",
    ),
    Reason.RULE_NOT_FOUND: Explanation(
        "On hold",
        "LinkedIn says 404: there is no conversion rule with this id.",
        "Copy the rule id from Campaign Manager again and save the rule.",
        "bad",
        404,
        ask_admin="Ask an admin to copy the rule id from Campaign Manager again.",
    ),
    Reason.RULE_MISCONFIGURED: Explanation(
        "On hold",
        "LinkedIn rejects all events of this rule: it is switched off there, or not set up for the Conversions API.",
        "In Campaign Manager, enable the rule and set its source to “Conversions API (direct)”, then press Resume.",
        "bad",
        ask_admin="Ask an admin to enable the rule in Campaign Manager, set its source to “Conversions API "
        "(direct)”, and resume it here.",
    ),
    Reason.NO_TOKEN: Explanation(
        "On hold",
        "No access token is saved.",
        "Paste one on the LinkedIn page (step 1).",
        "wait",
        ask_admin="Ask an admin to save an access token on the LinkedIn page.",
    ),
    Reason.TOKEN_REFUSED: Explanation(
        "On hold",
        "LinkedIn says 401: the access token is expired, revoked or invalid.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page. Events on hold are then sent.",
        "bad",
        401,
        ask_admin="Ask an admin to save a new access token. Events on hold are then sent.",
    ),
    Reason.TOKEN_UNREADABLE: Explanation(
        "On hold",
        "The saved access token can't be decrypted with this installation's keys.",
        "Save the token again, or ask the operator of LeadMachine to restore the old LEADMACHINE_TOKEN_KEYS.",
        "bad",
        ask_admin="Ask an admin to save the access token again.",
    ),
    Reason.VERSION_RETIRED: Explanation(
        "On hold",
        "LinkedIn says 426: it has retired the API version that LeadMachine uses.",
        "The operator of LeadMachine must set LINKEDIN_API_VERSION to a newer version. Events on hold are then sent.",
        "bad",
        426,
    ),
    Reason.COMPANY_CLOSED: Explanation(
        "Cancelled",
        "The company was deactivated before the event was sent.",
        "The operator of LeadMachine can activate the company again. Future events are then sent.",
        "bad",
    ),
    Reason.ALL_PAUSED: Explanation(
        "On hold",
        "LeadMachine was restored from a backup, or its operator has paused all sending.",
        "The operator of LeadMachine has to resume it (manage.py resume_sending). Events on hold are then sent.",
        "bad",
    ),
}
REASONS: Final = {
    reason: replace(words, topic=f"reason-{reason}")
    for reason, words in _REASONS.items()
}

# DATA_REFUSED, by response status: a lead can be corrected, the time of an event can't.
REFUSED_WITH: Final[dict[int, Explanation]] = {
    400: Explanation(
        "Rejected",
        "LinkedIn says 400: something in this event is invalid, for example its time.",
        "LinkedIn's message says what. A time that is too old or in the future can't be corrected, so the event is not "
        "sent. If the message is about the person, correct the lead and retry the event.",
        "bad",
        400,
        topic="reason-data_refused-400",
    ),
    422: Explanation(
        "Rejected",
        "LinkedIn says 422: something in this event is missing or malformed.",
        "LinkedIn's message says what. Correct it on the lead or the deal and retry the event. If neither shows it, "
        "contact the operator of LeadMachine.",
        "bad",
        422,
        topic="reason-data_refused-422",
    ),
}

_PASTE: Final = (
    "Or copy the id of each rule from Campaign Manager and add the rule manually."
)
_COMPARE: Final = "Ask an admin to compare the ad account id with Campaign Manager."
_AGAIN: Final = "Try again in a few minutes."

# The results of reading an ad account's rules.
_READINGS: Final[dict[ReadStatus, Explanation]] = {
    ReadStatus.FOUND: Explanation(
        "Read",
        "LinkedIn listed the rules of this ad account.",
        "Choose a CRM event for each rule that you want.",
        "good",
    ),
    ReadStatus.CANNOT_TELL: Explanation(
        "Can't read",
        "LinkedIn says 403: this token can send events but not read rules, or the ad account is unknown. "
        "The first is normal for a Direct API token, and sending still works.",
        f"Compare the ad account id with Campaign Manager. {_PASTE}",
        "wait",
        403,
        ask_admin=_COMPARE,
    ),
    ReadStatus.TOKEN_REFUSED: REASONS[Reason.TOKEN_REFUSED],
    ReadStatus.VERSION_RETIRED: REASONS[Reason.VERSION_RETIRED],
    ReadStatus.REFUSED: Explanation(
        "Rejected",
        "LinkedIn rejected the request for the rules of this ad account.",
        f"Compare the ad account id with Campaign Manager. {_PASTE}",
        "bad",
        ask_admin=_COMPARE,
    ),
    ReadStatus.SERVER_TROUBLE: Explanation(
        "Not now",
        "LinkedIn has technical problems, or asks us to slow down.",
        f"{_AGAIN} {_PASTE}",
        "wait",
        ask_admin=_AGAIN,
    ),
    ReadStatus.UNREACHABLE: Explanation(
        "No response",
        "LinkedIn did not respond in time, or could not be reached.",
        f"{_AGAIN} {_PASTE}",
        "wait",
        ask_admin=_AGAIN,
    ),
    ReadStatus.UNREADABLE: Explanation(
        "Unreadable",
        "The response is not a readable list of rules, or is not LinkedIn's.",
        f"Try again. {_PASTE}",
        "wait",
        ask_admin=_AGAIN,
    ),
}

READINGS: Final = {
    outcome: words if words.topic else replace(words, topic=f"reading-{outcome}")
    for outcome, words in _READINGS.items()
}
