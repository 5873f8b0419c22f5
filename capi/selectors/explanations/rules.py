"""What to tell a person who sets things up: what each CRM event means to LinkedIn."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings

from capi.models import CrmEventName
from capi.selectors.explanations.states import Explanation

PURCHASE: Final = "PURCHASE"


@dataclass(frozen=True, slots=True)
class EventAdvice:
    """When a CRM event fires, and the types of conversion, in LinkedIn's symbols, that it usually is there.

    `is_risky`: a rule that is imported for it starts switched off and without a value.
    """

    fires: str
    types: tuple[str, ...]
    warning: str = ""
    is_risky: bool = False

    @property
    def linkedin_type(self) -> str:
        """The usual types, as Campaign Manager words them, that the API version in use knows."""
        known = [type_label(each) for each in self.types if SINCE.get(each, "") <= settings.LINKEDIN_API_VERSION]
        return ", ".join(known) or "none fits; if you send it, Other, without a value, and in no campaign"


# The types are those of the Conversions API's rules (Microsoft Learn); these two came back with a later version.
SINCE: Final = {"MARKETING_QUALIFIED_LEAD": "202608", "SALES_QUALIFIED_LEAD": "202608"}
OTHER: Final = "OTHER"  # may be anything: it is offered as a type, and no CRM event is guessed from it
EVENTS: Final[dict[str, EventAdvice]] = {
    CrmEventName.LEAD_CREATED: EventAdvice("A lead is added: by hand or over the API.", ("LEAD", "SIGN_UP")),
    CrmEventName.LEAD_QUALIFIED: EventAdvice(
        "A lead gets a status that means “qualified”.", ("QUALIFIED_LEAD", "MARKETING_QUALIFIED_LEAD")
    ),
    CrmEventName.DEAL_CREATED: EventAdvice("A deal is added.", ("KEY_PAGE_VIEW", "SALES_QUALIFIED_LEAD", OTHER)),
    CrmEventName.DEAL_WON: EventAdvice("A deal moves to a stage that means “won”.", (PURCHASE,)),
    CrmEventName.DEAL_LOST: EventAdvice(
        "A deal moves to a stage that means “lost”.",
        (),
        "No campaign should optimise for it: LinkedIn would look for more people who say no. "
        "Leave the value off, and assign it to no campaign.",
        is_risky=True,
    ),
}

COUNTED_TWICE: Final = (
    "LinkedIn counts every event of a rule of the type Purchase, where other types count a person once: "
    "what is sent twice counts twice. “Once per lead or deal” is the safe choice."
)


def suggested_event(linkedin_type: str) -> str:
    """The CRM event that a rule of this type usually stands for, "" where none does."""
    if linkedin_type == OTHER:
        return ""
    return next((event for event, advice in EVENTS.items() if linkedin_type in advice.types), "")


def type_label(linkedin_type: str) -> str:
    """LinkedIn's symbol as Campaign Manager words it: "Qualified Lead"."""
    return linkedin_type.replace("_", " ").title()


def counting_warning(crm_event: str, linkedin_type: str = "") -> str:
    """That LinkedIn counts each event of this rule, "" where it does not; without a known type, as of the usual one."""
    return COUNTED_TWICE if PURCHASE in ([linkedin_type] if linkedin_type else EVENTS[crm_event].types) else ""


# --- What is said where rules of LinkedIn's are left out of the import, or not read at all.

WRONG_SOURCE: Final = Explanation(
    "Left out",
    "Its source is not the Conversions API.",
    "Set its source to “Conversions API (direct)” in Campaign Manager, then read the list again.",
    "plain",
)
SWITCHED_OFF: Final = Explanation(
    "Left out", "It is switched off in Campaign Manager.", "Enable it there, then read the list again.", "plain"
)


def too_often(sentence: str) -> Explanation:
    """That the list was read as often as a minute allows; the sentence says when to try again."""
    return Explanation("Not now", sentence, "", "wait")
