"""What to tell a person who sets things up: what each CRM event means to LinkedIn."""

from dataclasses import dataclass
from typing import Final

from capi.models import CrmEventName

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
