"""Why a deal has to keep the lead that its conversions are about."""

from typing import Final

from capi.delivery.deal_people import told_about
from capi.models.choices import State
from crm.models import Deal

SENT: Final = (
    "This deal was reported to LinkedIn, so its main person can't be changed any more."
)
PERHAPS: Final = "This deal may have been reported to LinkedIn, so its main person can't be changed any more."
NOT_NOW: Final = "Nothing was changed: a request to LinkedIn may contain this deal right now. Try again in a minute."


def why_lead_stays(deal: Deal) -> str:
    """The reason, in a sentence; "" if LinkedIn can't have received anything about the deal. One query."""
    states = set(told_about(deal.pk, deal.company_id).values_list("state", flat=True))
    if not states:
        return ""
    return SENT if State.ACCEPTED in states else PERHAPS
