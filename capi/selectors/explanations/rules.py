"""Advice for setting up rules: what each CRM event means to LinkedIn."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings

from capi.models import CrmEventName
from capi.selectors.explanations.states import Explanation

PURCHASE: Final = "PURCHASE"


@dataclass(frozen=True, slots=True)
class EventAdvice:
    """When a CRM event fires, and its usual conversion types, as LinkedIn's symbols.

    `is_risky`: an imported rule for it starts switched off and without a value.
    """

    fires: str
    types: tuple[str, ...]
    warning: str = ""
    is_risky: bool = False

    @property
    def linkedin_type(self) -> str:
        """The usual types that the API version in use supports, as named in Campaign Manager."""
        known = [
            type_label(each)
            for each in self.types
            if SINCE.get(each, "") <= settings.LINKEDIN_API_VERSION
        ]
        return ", ".join(known) or "none; if you send it, use Other"


# Types of the Conversions API's rules (Microsoft Learn). A later API version brought these two back.
SINCE: Final = {"MARKETING_QUALIFIED_LEAD": "202608", "SALES_QUALIFIED_LEAD": "202608"}
# May mean anything: offered as a type, but suggests no CRM event.
OTHER: Final = "OTHER"
EVENTS: Final[dict[str, EventAdvice]] = {
    CrmEventName.LEAD_CREATED: EventAdvice(
        "A lead is added manually, through the API, or by an import that sends to LinkedIn.",
        ("LEAD", "SIGN_UP"),
    ),
    CrmEventName.LEAD_QUALIFIED: EventAdvice(
        "A lead gets a status that means “qualified”.",
        ("QUALIFIED_LEAD", "MARKETING_QUALIFIED_LEAD"),
    ),
    CrmEventName.DEAL_CREATED: EventAdvice(
        "A deal is added.", ("KEY_PAGE_VIEW", "SALES_QUALIFIED_LEAD", OTHER)
    ),
    CrmEventName.DEAL_WON: EventAdvice(
        "A deal moves to a stage that means “won”.", (PURCHASE,)
    ),
    CrmEventName.DEAL_LOST: EventAdvice(
        "A deal moves to a stage that means “lost”.",
        (),
        "No campaign should optimise for it: LinkedIn would look for more people who say no. "
        "Send no value, and assign it to no campaign.",
        is_risky=True,
    ),
}

COUNTED_TWICE: Final = (
    "LinkedIn counts every event of a Purchase rule, while other types count a person once. "
    "An event sent twice counts twice. “Once per lead or deal” is the safe choice."
)


def suggested_event(linkedin_type: str) -> str:
    """The usual CRM event for a rule of this type, "" if there is none."""
    if linkedin_type == OTHER:
        return ""
    return next(
        (event for event, advice in EVENTS.items() if linkedin_type in advice.types), ""
    )


def type_label(linkedin_type: str) -> str:
    """LinkedIn's symbol as named in Campaign Manager: "Qualified Lead"."""
    return linkedin_type.replace("_", " ").title()


def counting_warning(crm_event: str, linkedin_type: str = "") -> str:
    """A warning if LinkedIn counts each event of the rule, otherwise "". An unknown type defaults to the usual ones."""
    types = [linkedin_type] if linkedin_type else EVENTS[crm_event].types
    return COUNTED_TWICE if PURCHASE in types else ""


WRONG_SOURCE: Final = Explanation(
    "Left out",
    "Its source is not the Conversions API.",
    "Set its source to “Conversions API (direct)” in Campaign Manager, then read the list again.",
    "plain",
)
SWITCHED_OFF: Final = Explanation(
    "Left out",
    "It is switched off in Campaign Manager.",
    "Enable it there, then read the list again.",
    "plain",
)


def too_often(sentence: str) -> Explanation:
    """The explanation for reading the list too often in a minute. `sentence` says when to try again."""
    return Explanation("Not now", sentence, "", "wait")
