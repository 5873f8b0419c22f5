"""The further people of deals, for the pages of deals, leads and organisations."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from crm.models import Change, Deal, DealPerson, Lead
from crm.models.change import OF_PEOPLE
from crm.services.deal_people import why_lead_stays


@dataclass(frozen=True, slots=True)
class DealPeople:
    """The further people of a deal in the order in which they were added, and why it has to keep its lead, or ""."""

    further: Sequence[Lead]
    why_lead_stays: str = ""

    @property
    def count(self) -> int:
        """How many people the deal has, with its lead."""
        return len(self.further) + 1


def people_of(deal: Deal) -> DealPeople:
    """The people of a deal. Two queries; one if the deal only has its lead."""
    links = (
        DealPerson.objects.for_company(deal.company_id)
        .filter(deal=deal)
        .exclude(lead=deal.lead_id)
    )
    further = [link.lead for link in links.select_related("lead").order_by("pk")]
    return DealPeople(further, why_lead_stays(deal) if further else "")


def further_deals_of(lead: Lead) -> QuerySet[Deal]:
    """Other leads' deals with this lead among their people, newest first, with their leads."""
    links = DealPerson.objects.for_company(lead.company_id).filter(lead=lead)
    deals = (
        Deal.objects.for_company(lead.company_id)
        .filter(pk__in=links.values("deal"))
        .exclude(lead=lead)
    )
    return deals.select_related("stage", "lead")


def deals_that_may_name(lead: Lead) -> list[Deal]:
    """Other leads' deals that have or had this person among their people or as their lead, newest first.

    An erasure leaves the texts of these deals as they are. Four queries.
    """
    company = lead.company_id
    pks = list(
        Lead.objects.for_company(company).of_person(lead).values_list("pk", flat=True)
    )
    theirs = Change.objects.for_company(company).filter(
        deal__isnull=False, field__in=OF_PEOPLE, old__in=[str(pk) for pk in pks]
    )
    found = set(theirs.order_by().values_list("deal", flat=True))
    found |= set(
        DealPerson.objects.for_company(company)
        .filter(lead__in=pks)
        .values_list("deal", flat=True)
    )
    deals = Deal.objects.for_company(company).filter(pk__in=found).exclude(lead__in=pks)
    return list(deals.select_related("stage", "lead"))
