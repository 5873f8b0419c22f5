"""States and reasons as the database stores them. `selectors/explanations/` explains them to people."""

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models


class State(models.TextChoices):
    """The state of a conversion event. All except PENDING and WAITING are final."""

    PENDING = "pending", "Queued"
    WAITING = "waiting", "Waiting"
    ACCEPTED = "accepted", "Sent"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"
    SKIPPED = "skipped", "Skipped"
    CANCELLED = "cancelled", "Cancelled"
    EXHAUSTED = "exhausted", "Gave up"


class Frequency(models.TextChoices):
    """How often a rule counts: each lead or deal once, each person (by e-mail address) once, or every event."""

    ONCE = "once", "Once per lead or deal"
    PER_PERSON = "per_person", "Once per person"
    EVERY_TIME = "every_time", "Every time"


OPEN_STATES = (State.PENDING, State.WAITING)
# States in which an event of a `once` rule keeps its key. In the others it keeps it if LinkedIn may have the event:
# `capi.delivery.deduplication` has the table.
STATES_THAT_HOLD_ONCE = (State.PENDING, State.WAITING, State.ACCEPTED, State.EXHAUSTED)


class BackfillOutcome(models.TextChoices):
    """What a backfill does with a past CRM event. Only the first five create a conversion event."""

    GOES = "goes", "To be sent"
    NO_EMAIL = "no_email", "Waiting for an e-mail"
    OPTED_OUT = "opted_out", "Skipped: not shared"
    ALREADY_COUNTED = "already_counted", "Skipped: duplicate"
    TOO_OLD = "too_old", "Too old"
    SENT = "sent", "Already sent"
    KNOWN = "known", "Already in the log"
    LEAD_DELETED = "lead_deleted", "Lead deleted"
    DEAL_DELETED = "deal_deleted", "Deal deleted"


# The others are never sent.
OUTCOMES_TO_SEND = (BackfillOutcome.GOES, BackfillOutcome.NO_EMAIL)


class Reason(models.TextChoices):
    """Why something is in its state. The first group is about the event, then the rule, then the connection."""

    NONE = "", "-"
    NO_EMAIL = "no_email", "No e-mail address"
    OPTED_OUT = "opted_out", "Not shared with ad platforms"
    ALREADY_COUNTED = "already_counted", "Duplicate"
    MERGED = "merged", "Duplicate after a merge"
    TOO_OLD = "too_old", "Older than 90 days"
    LEAD_DELETED = "lead_deleted", "Lead deleted"
    DEAL_DELETED = "deal_deleted", "Deal deleted"
    ERASED = "erased", "Person erased"
    TAKEN_BACK = "taken_back", "Taken back"
    CANCELLED_BY_HAND = "cancelled_by_hand", "Cancelled manually"
    RULE_INACTIVE = "rule_inactive", "Rule switched off"
    RULE_DELETED = "rule_deleted", "Rule deleted"
    BACKFILL_CANCELLED = "backfill_cancelled", "Backfill cancelled"
    DATA_REFUSED = "data_refused", "Data rejected"
    REFUSED = "refused", "Request rejected"
    THROTTLED = "throttled", "Too many requests"
    SERVER_TROUBLE = "server_trouble", "LinkedIn has technical problems"
    TIMED_OUT = "timed_out", "Timed out"
    UNREACHABLE = "unreachable", "LinkedIn unreachable"
    ANSWER_UNREADABLE = "answer_unreadable", "Unreadable response"
    UNCLEAR = "unclear", "Response not from LinkedIn"

    RULE_FORBIDDEN = "rule_forbidden", "No permission, or unknown rule"
    RULE_NOT_FOUND = "rule_not_found", "Wrong rule id"
    RULE_MISCONFIGURED = "rule_misconfigured", "Rule not set up for the Conversions API"

    NO_TOKEN = "no_token", "No access token"
    TOKEN_REFUSED = "token_refused", "Access token rejected"
    TOKEN_UNREADABLE = "token_unreadable", "Access token unreadable"
    VERSION_RETIRED = "version_retired", "API version retired"
    COMPANY_CLOSED = "company_closed", "Company deactivated"
    ALL_PAUSED = "all_paused", "All sending paused"


class RestCause(models.TextChoices):
    """Why a lane rests, though nothing is paused."""

    ASKED = "asked", "LinkedIn asked us to wait"
    DAY_LIMIT = "day_limit", "LinkedIn's daily limit"
    THROTTLED = "throttled", "Too many requests"
    THROTTLED_OFTEN = "throttled_often", "Too many requests, repeatedly"
    TROUBLE = "trouble", "LinkedIn has technical problems"
    UNCLEAR = "unclear", "Responses not from LinkedIn"


class AlertKind(models.TextChoices):
    """The kinds of alert, most important first."""

    CONNECTION_PAUSED = "connection_paused", "Sending paused"
    RULE_PAUSED = "rule_paused", "Rule paused"
    HOLD_ENDING = "hold_ending", "Events on hold expire soon"
    RESTING = "resting", "Sending delayed"
    FAILING = "failing", "Many events fail"
    SILENT = "silent", "A rule is silent"
    TOKEN_ENDING = "token_ending", "Token expires soon"
    VERSION_ENDING = "version_ending", "API version retired soon"


class AlertResolution(models.TextChoices):
    """How an alert ended."""

    FIXED = "fixed", "Resolved"
    REPLACED = "replaced", "Replaced by a newer alert"
    # The rule was switched off or deleted, the token removed.
    GONE = "gone", "No longer applies"


class MailKind(models.TextChoices):
    """What a mail is about."""

    OPENED = "opened", "Alert opened"
    CLOSED = "closed", "Alert closed"
    WEEK = "week", "Weekly reconcile"


class CrmEventName(models.TextChoices):
    """The CRM events that a rule can be mapped to, as crm names them."""

    LEAD_CREATED = "lead_created", "Lead created"
    LEAD_QUALIFIED = "lead_qualified", "Lead qualified"
    DEAL_CREATED = "deal_created", "Deal created"
    DEAL_WON = "deal_won", "Deal won"
    DEAL_LOST = "deal_lost", "Deal lost"


# CRM events with a deal, and so with a value.
EVENTS_ABOUT_DEALS = frozenset(
    name for name in CrmEventName if name.startswith("deal_")
)

# CRM events for which forms offer to send the deal's value. A lead has none, and that of a lost deal is no revenue.
EVENTS_WITH_VALUE = (CrmEventName.DEAL_CREATED, CrmEventName.DEAL_WON)

MAX_ID_DIGITS = 19
only_digits = RegexValidator(
    r"^[1-9][0-9]{0,18}\Z", "Enter the id as digits only, without blanks or letters."
)


def check_linkedin_id(bare: str) -> None:
    """Raise ValidationError, saying why, if this can't be a LinkedIn id."""
    if bare.isascii() and bare.isdigit():
        if len(bare) > MAX_ID_DIGITS:
            raise ValidationError(
                f"The id is too long: it has at most {MAX_ID_DIGITS} digits."
            )
        if bare.startswith("0"):
            raise ValidationError("The id can't begin with zero.")
    only_digits(bare)


def clean_linkedin_id(text: str) -> str:
    """The bare rule id from pasted text, which may be the whole URN.

    Raises ValidationError if it is not a LinkedIn id.
    """
    bare = text.strip().removeprefix("urn:lla:llaPartnerConversion:")
    check_linkedin_id(bare)
    return bare
