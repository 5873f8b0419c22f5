"""What the search of the whole product finds: leads, deals and organisations of the company."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crm.models import Company, Deal, Lead
from crm.selectors.organisations import names_like

LEADS_SHOWN: Final = 8
DEALS_SHOWN: Final = 5
ORGANISATIONS_SHOWN: Final = 4


@dataclass(frozen=True)
class SearchResults:
    """The newest leads and deals that match, and the keys and names of organisations."""

    leads: Sequence[Lead] = ()
    deals: Sequence[Deal] = ()
    organisations: Sequence[tuple[str, str]] = ()


def find(company: Company, text: str) -> SearchResults:
    """The leads, deals and organisations with every word of the text; none for no text. Five queries at most."""
    if not text.strip():
        return SearchResults()
    leads = (
        Lead.objects.for_company(company)
        .current()
        .search(text)
        .order_by("-created_at", "-pk")
    )
    deals = (
        Deal.objects.for_company(company)
        .search(company, text)
        .select_related("lead", "stage")
        .order_by("-pk")
    )
    organisations = names_like(company, text, ORGANISATIONS_SHOWN)
    return SearchResults(
        list(leads[:LEADS_SHOWN]), list(deals[:DEALS_SHOWN]), organisations
    )
