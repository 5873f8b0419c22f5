"""What to tell a person who sets things up: what each CRM event means to LinkedIn, and why nothing may be sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from capi.models import Connection, ConversionRule, CrmEventName
from capi.reasons import Reason
from capi.words import REASONS, Tone, explain_pause

PURCHASE: Final = "PURCHASE"


@dataclass(frozen=True, slots=True)
class EventAdvice:
    """When a CRM event fires, and the types of conversion, in LinkedIn's symbols, that it usually is there."""

    fires: str
    types: tuple[str, ...]
    warning: str = ""

    @property
    def linkedin_type(self) -> str:
        """The usual types as Campaign Manager words them."""
        return ", ".join(map(type_label, self.types)) or "none fits; for attribution analysis only"


# The types are those of the Conversions API's rules (Microsoft Learn). `SALES_QUALIFIED_LEAD` came back with 202608.
EVENTS: Final[dict[str, EventAdvice]] = {
    CrmEventName.LEAD_CREATED: EventAdvice("A lead is added: by hand or over the API.", ("LEAD", "SIGN_UP")),
    CrmEventName.LEAD_QUALIFIED: EventAdvice(
        "A lead gets a status that means “qualified”.", ("QUALIFIED_LEAD", "MARKETING_QUALIFIED_LEAD")
    ),
    CrmEventName.DEAL_CREATED: EventAdvice("A deal is added.", ("KEY_PAGE_VIEW", "SALES_QUALIFIED_LEAD")),
    CrmEventName.DEAL_WON: EventAdvice("A deal moves to a stage that means “won”.", (PURCHASE,)),
    CrmEventName.DEAL_LOST: EventAdvice(
        "A deal moves to a stage that means “lost”.",
        (),
        "No campaign should optimise for it: LinkedIn would look for more people who say no. Assign it to no campaign.",
    ),
}

COUNTED_TWICE: Final = (
    "LinkedIn counts every event of a rule of the type Purchase, where other types count a person once: "
    "what is sent twice counts twice. “Once per lead or deal” is the safe choice."
)


def suggested_event(linkedin_type: str) -> str:
    """The CRM event that a rule of this type usually stands for, "" where none does."""
    return next((event for event, advice in EVENTS.items() if linkedin_type in advice.types), "")


def type_label(linkedin_type: str) -> str:
    """LinkedIn's symbol as Campaign Manager words it: "Qualified Lead"."""
    return linkedin_type.replace("_", " ").title()


def counting_warning(crm_event: str, linkedin_type: str = "") -> str:
    """That LinkedIn counts each event of this rule, "" where it does not; without a known type, as of the usual one."""
    return COUNTED_TWICE if PURCHASE in ([linkedin_type] if linkedin_type else EVENTS[crm_event].types) else ""


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the four usual causes of events not being sent, as things stand now."""

    question: str
    tone: Tone
    answer: str
    next_step: str = ""

    @property
    def is_fine(self) -> bool:
        return self.tone == "good"


RULE_REFUSED: Final = (Reason.RULE_NOT_FOUND, Reason.RULE_FORBIDDEN, Reason.RULE_MISCONFIGURED, Reason.REFUSED)
ACCOUNT_REFUSED: Final = (Reason.TOKEN_REFUSED, Reason.TOKEN_UNREADABLE, Reason.VERSION_RETIRED)


def usual_causes(connection: Connection | None, rules: Sequence[ConversionRule]) -> list[Cause]:
    """The four usual causes, each with its live state."""
    return [_token(connection), _active(rules), _rule_ids(rules), _account(connection, rules)]


def _token(connection: Connection | None) -> Cause:
    question = "Is an access token saved?"
    if connection is None or not connection.has_token:
        return Cause(question, "bad", REASONS[Reason.NO_TOKEN].what, REASONS[Reason.NO_TOKEN].next_step)
    return Cause(question, "good", f"Yes, the one that ends in {connection.token_last_four}.")


def _active(rules: Sequence[ConversionRule]) -> Cause:
    question = "Is the rule active?"
    off = [rule.name for rule in rules if not rule.is_active]
    if not rules:
        return Cause(question, "bad", "There is no rule yet.", "Add one in step 2.")
    if off:
        tone: Tone = "wait" if len(off) < len(rules) else "bad"
        answer = f"Switched off: {', '.join(off)}."
        return Cause(question, tone, answer, "Switch a rule on in step 2 to send the events that follow.")
    return Cause(question, "good", "Yes, every rule is switched on.")


def _rule_ids(rules: Sequence[ConversionRule]) -> Cause:
    question = "Is the rule id the one in Campaign Manager?"
    refused = [rule for rule in rules if rule.is_paused and rule.paused_reason in RULE_REFUSED]
    if refused:
        words = explain_pause(refused[0].paused_reason)
        names = ", ".join(f"{rule.name} ({rule.linkedin_id})" for rule in refused)
        return Cause(question, "bad", f"{names}: {words.what}", words.next_step)
    return Cause(question, "good", "LinkedIn has refused none of the rule ids.")


def _account(connection: Connection | None, rules: Sequence[ConversionRule]) -> Cause:
    question = "Is the ad account still connected?"
    if connection is not None and connection.is_paused and connection.paused_reason in ACCOUNT_REFUSED:
        words = explain_pause(connection.paused_reason)
        return Cause(question, "bad", words.what, words.next_step)
    active = [rule for rule in rules if rule.is_active]
    if active and all(rule.is_paused and rule.paused_reason == Reason.RULE_FORBIDDEN for rule in active):
        words = REASONS[Reason.RULE_FORBIDDEN]
        return Cause(question, "bad", words.what, words.next_step)
    return Cause(question, "good", "LinkedIn has refused neither the token nor the account.")
