"""Which deal a row is about: the one with its number, or else with its lead and title."""

from collections.abc import Collection, Mapping

from django.db.models import Prefetch, Q

from crm.data_exchange.importing.matching import hash_of, written_by
from crm.data_exchange.importing.objects.definition import Values
from crm.data_exchange.importing.tagging import LISTED_TAGS, TAGS
from crm.models import Deal, LeadImport


def deal_key(values: Values) -> str:
    """Two rows are one deal if both have its number or, without numbers, the same lead and title."""
    if "deal_number" in values:
        return hash_of(f"number\n{values['deal_number']}")
    return hash_of(f"title\n{values['lead'].pk}\n{values['title'].lower()}")


def existing_deals(
    lead_import: LeadImport, wanted: Mapping[str, Values], *, locks: bool
) -> dict[str, Deal]:
    """The deals that are already there for these keys, in a fixed number of queries.

    With `locks`, the deals that this import has written are left out: two rows about one deal are matched by their
    keys.
    """
    found = _perhaps(lead_import, wanted.values(), locks=locks)
    if locks:
        for pk in written_by(lead_import, "record_id", found):
            del found[pk]
    titled: dict[tuple[int, str], Deal] = {}
    for deal in found.values():
        titled.setdefault((deal.lead_id, deal.title.lower()), deal)
    matches = {key: _match(values, found, titled) for key, values in wanted.items()}
    return {key: deal for key, deal in matches.items() if deal}


def _perhaps(
    lead_import: LeadImport, wanted: Collection[Values], *, locks: bool
) -> dict[int, Deal]:
    """The deals of the rows' leads, and those with the rows' numbers. With `locks`, locked."""
    leads = {values["lead"].pk for values in wanted}
    numbers = {values["deal_number"] for values in wanted if "deal_number" in values}
    own = Deal.objects.for_company(lead_import.company_id).order_by("pk")
    deals = own.filter(Q(lead__in=leads) | Q(pk__in=numbers)).prefetch_related(
        "stage", Prefetch(TAGS, to_attr=LISTED_TAGS)
    )
    if locks:
        deals = deals.select_for_update(no_key=True)
    return {deal.pk: deal for deal in deals}


def _match(
    values: Values, deals: Mapping[int, Deal], titled: Mapping[tuple[int, str], Deal]
) -> Deal | None:
    """The deal with the row's number, if the lead or the title agrees, or else with its lead and title."""
    lead_id, title = values["lead"].pk, values["title"].lower()
    numbered = deals.get(values.get("deal_number", 0))
    if numbered and (numbered.lead_id == lead_id or numbered.title.lower() == title):
        return numbered
    return titled.get((lead_id, title))
