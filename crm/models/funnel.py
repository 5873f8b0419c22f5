"""The funnel: how far a lead has come on its way to a won deal."""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import models
from django.db.models import Case, Exists, Max, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull

from crm.models.company import Company
from crm.models.deal import Deal, DealQuerySet
from crm.models.event import CrmEvent, CrmEventKind
from crm.models.steps import StageMeaning
from crm.models.tenancy import CompanyQuerySet

R = TypeVar("R", bound=QuerySet[Any])


class FunnelStep(models.TextChoices):
    """What a lead may have reached. A lead that has reached one has also reached those before it."""

    QUALIFIED = "qualified", "Qualified"
    DEAL = "deal", "Deal"
    WON = "won", "Won deal"


@dataclass(frozen=True)
class LeadKeys:
    """The smallest and the largest of the keys of some leads.

    Leads of one period have keys next to each other: with these, PostgreSQL reads the events and deals of few others.
    """

    first: int
    last: int

    def among(self, relation: str = "lead") -> dict[str, int]:
        """The condition that the key of a row's lead is in this range."""
        return {f"{relation}__gte": self.first, f"{relation}__lte": self.last}


def qualified_leads(company: Company, keys: LeadKeys) -> QuerySet[CrmEvent, Any]:
    """The keys of leads whose status means “qualified”, now or in the past."""
    return (
        _qualifications()
        .for_company(company)
        .filter(**keys.among())
        .values("lead")
        .distinct()
    )


def leads_with_deals(company: Company, keys: LeadKeys) -> QuerySet[Deal, Any]:
    """The keys of leads with a deal, and 1 for those with one that is won, else 0."""
    is_won = Case(When(stage__meaning=StageMeaning.WON, then=1), default=0)
    deals = Deal.objects.for_company(company).order_by().filter(**keys.among())
    return deals.values("lead").annotate(is_won=Max(is_won))


def has_reached(step: FunnelStep) -> Q:
    """Leads that have reached this step. A lead with a deal counts as qualified, even if no status ever said so."""
    match step:
        case FunnelStep.QUALIFIED:
            # For EXISTS OR EXISTS, PostgreSQL would read the events and deals of all companies for a page of leads.
            one_of_both = Coalesce(
                Subquery(_of_lead(_qualifications()).values("lead")[:1]),
                Subquery(_deals().values("lead")[:1]),
            )
            return Q(IsNull(one_of_both, False))
        case FunnelStep.DEAL:
            return Q(Exists(_deals()))
        case FunnelStep.WON:
            return Q(Exists(_deals().filter(stage__meaning=StageMeaning.WON)))


def _qualifications() -> CompanyQuerySet[CrmEvent]:
    """The CRM events that say that a lead was qualified, for as long as the lead exists.

    Events that were taken back within the time to undo don't count, just as they are not sent to LinkedIn.
    """
    return CrmEvent.objects.order_by().filter(
        kind=CrmEventKind.LEAD_QUALIFIED, taken_back_at=None
    )


def _deals() -> DealQuerySet:
    return _of_lead(Deal.objects.order_by())


def _of_lead(rows: R) -> R:
    """The rows of the outer query's lead, in a subquery."""
    return rows.filter(company=OuterRef("company"), lead=OuterRef("pk"))
