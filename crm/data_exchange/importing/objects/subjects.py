"""Finds the lead or deal that a row of another object is about: a deal by its number or title, or else a lead."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Q
from django.db.models.functions import Lower

from crm.data_exchange.importing.cells import Reader, TextReader
from crm.data_exchange.importing.matching import lowered
from crm.data_exchange.importing.objects.definition import Field, Values
from crm.data_exchange.importing.objects.lead_references import (
    LEAD_REFERENCES,
    LeadFinder,
    lead_finder,
    lead_readers,
    names_a_lead,
    number_reader,
)
from crm.models import Deal, Lead, RowProblem

DEAL_REFERENCES: Final = {
    "deal_number": Field("Deal number", "dealnumber dealid dealnummer"),
    "deal_title": Field(
        "Deal",
        "deal dealname dealtitle associateddeal opportunity opportunityname "
        "opportuniteit verkaufschance opportunite negocio oportunidad",
    ),
}
OF_DEALS: Final = (RowProblem.DEAL_UNKNOWN, RowProblem.DEAL_AMBIGUOUS)
SUBJECT_FIELDS: Final = {**LEAD_REFERENCES, **DEAL_REFERENCES}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a row is about: a lead, a deal and its lead, or neither."""

    lead: Lead | None = None
    deal: Deal | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Equal for the same lead or deal."""
        if self.deal:
            return "deal", self.deal.pk
        return ("lead", self.lead.pk) if self.lead else ("", 0)


def subject_readers() -> dict[str, Reader]:
    """The readers by field."""
    title = TextReader("deal_title", Deal._meta.get_field("title"))
    number = number_reader("deal_number")
    return {**lead_readers(), "deal_title": title, "deal_number": number}


def names_a_subject(values: Values) -> bool:
    return names_a_lead(values) or _names_a_deal(values)


def _names_a_deal(values: Values) -> bool:
    return bool(DEAL_REFERENCES.keys() & values.keys())


@dataclass(slots=True)
class SubjectFinder:
    """The leads and deals that rows may be about."""

    leads: LeadFinder
    by_number: dict[int, Deal] = field(default_factory=dict)
    by_title: defaultdict[str, list[Deal]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, deal: Deal) -> None:
        self.by_number[deal.pk] = deal
        self.by_title[deal.title.lower()].append(deal)

    def find(self, values: Values) -> Subject | RowProblem:
        """What the row is about, or why that can't be said."""
        lead = self.leads.find(values) if names_a_lead(values) else None
        if isinstance(lead, RowProblem):
            return lead
        if not _names_a_deal(values):
            return Subject(lead)
        fitting = self._fitting(values, lead)
        if len(fitting) == 1:
            deal = fitting[0]
            return Subject(self.leads.by_number[deal.lead_id], deal)
        return RowProblem.DEAL_AMBIGUOUS if fitting else RowProblem.DEAL_UNKNOWN

    def _fitting(self, values: Values, lead: Lead | None) -> Sequence[Deal]:
        """The deals of this lead, if the row names one, with the row's number or else its title."""
        title = values.get("deal_title", "").lower()
        numbered = self.by_number.get(values.get("deal_number", 0))
        named = [numbered] if numbered and title in ("", numbered.title.lower()) else []
        titled = self.by_title[title] if title else []
        return _of_lead(named, lead) or _of_lead(titled, lead)


def _of_lead(deals: Iterable[Deal], lead: Lead | None) -> list[Deal]:
    return [deal for deal in deals if lead is None or deal.lead_id == lead.pk]


def subject_finder(
    company_id: int, all_values: Sequence[Values], *, locks: bool
) -> SubjectFinder:
    """Knows the leads and deals that these rows name. With `locks`, they can't change until the transaction ends."""
    deals = _deals_named(company_id, all_values)
    people = {deal.lead_id for deal in deals.values()}
    finder = SubjectFinder(
        lead_finder(company_id, all_values, also=people, locks=locks)
    )
    if locks and deals:
        own = Deal.objects.for_company(company_id, keys=[*deals]).order_by("pk")
        deals = {deal.pk: deal for deal in own.select_for_update(no_key=True)}
    for deal in deals.values():
        # Someone may have just given it to another lead, which isn't locked.
        if deal.lead_id in finder.leads.by_number:
            finder.add(deal)
    return finder


def _deals_named(company_id: int, all_values: Iterable[Values]) -> Mapping[int, Deal]:
    numbers: set[int] = set()
    titles: set[str] = set()
    for values in all_values:
        numbers |= {values["deal_number"]} if "deal_number" in values else set()
        titles |= {values["deal_title"]} if "deal_title" in values else set()
    if not numbers and not titles:
        return {}
    own = Deal.objects.for_company(company_id).alias(lower=Lower("title"))
    named = Q(pk__in=numbers) | Q(lower__one_of_texts=lowered(titles))
    return {deal.pk: deal for deal in own.filter(named).order_by("pk")}
