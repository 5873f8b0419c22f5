"""What the search of the whole product finds: leads and deals of the company."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crm.models import Company, Deal, Lead
from crm.selectors.deals import search

LEADS_SHOWN: Final = 8
DEALS_SHOWN: Final = 5


@dataclass(frozen=True)
class Found:
    """The newest leads and deals that match."""

    leads: Sequence[Lead] = ()
    deals: Sequence[Deal] = ()


def find(company: Company, text: str) -> Found:
    """The leads and deals with every word of the text; none for no text. Two queries."""
    if not text.strip():
        return Found()
    leads = Lead.objects.for_company(company).current().search(text).order_by("-created_at", "-pk")
    deals = search(Deal.objects.for_company(company), company, text).select_related("lead", "stage").order_by("-pk")
    return Found(list(leads[:LEADS_SHOWN]), list(deals[:DEALS_SHOWN]))
