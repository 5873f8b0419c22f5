"""The funnel: how far a lead has come on its way to a won deal."""

from dataclasses import dataclass

from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull

from crm.models.deal import Deal, DealQuerySet
from crm.models.event import CrmEvent, CrmEventKind
from crm.models.steps import StageMeaning
from crm.models.tenancy import CompanyQuerySet


class FunnelStep(models.TextChoices):
    """What a lead may have reached. A lead that has reached one has also reached those before it."""

    QUALIFIED = "qualified", "Qualified"
    DEAL = "deal", "Deal"
    WON = "won", "Won deal"


@dataclass(frozen=True)
class LeadKeys:
    """The smallest and the largest of the keys of some leads."""

    first: int
    last: int

    def among(self, relation: str = "lead") -> dict[str, int]:
        """The condition that a row's lead may be one of them."""
        return {f"{relation}__gte": self.first, f"{relation}__lte": self.last}


def was_qualified(keys: LeadKeys) -> Exists:
    """Leads whose status means “qualified”, now or once. A CRM event says so, for as long as the lead is there.

    What was taken back within the time to undo doesn't count, as for LinkedIn. `keys`: those of the leads that are
    asked about. Leads of one period have keys next to each other, so that PostgreSQL reads the events of no others.
    """
    return Exists(_qualifications().filter(**keys.among()))


def has_deal(keys: LeadKeys) -> Exists:
    return Exists(_deals().filter(**keys.among()))


def has_won_deal(keys: LeadKeys) -> Exists:
    return Exists(_deals().filter(**keys.among(), stage__meaning=StageMeaning.WON))


def has_reached(step: FunnelStep) -> Q:
    """Leads that have come this far. One with a deal counts as qualified, even if no status has ever said so."""
    match step:
        case FunnelStep.QUALIFIED:
            # Of two EXISTS with an OR, PostgreSQL would read the events and deals of all companies for a page of leads.
            one_of_both = Coalesce(
                Subquery(_qualifications().values("lead")[:1]), Subquery(_deals().values("lead")[:1])
            )
            return Q(IsNull(one_of_both, False))
        case FunnelStep.DEAL:
            return Q(Exists(_deals()))
        case FunnelStep.WON:
            return Q(Exists(_deals().filter(stage__meaning=StageMeaning.WON)))


def _qualifications() -> CompanyQuerySet[CrmEvent]:
    """Of a lead, in a subquery."""
    events = CrmEvent.objects.filter(kind=CrmEventKind.LEAD_QUALIFIED, taken_back_at=None)
    return events.order_by().filter(company=OuterRef("company"), lead=OuterRef("pk"))


def _deals() -> DealQuerySet:
    """Of a lead, in a subquery."""
    return Deal.objects.order_by().filter(company=OuterRef("company"), lead=OuterRef("pk"))
