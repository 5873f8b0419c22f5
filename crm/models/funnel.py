"""The funnel: how far a lead has come on its way to a won deal."""

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


def was_qualified() -> Exists:
    """Leads whose status means “qualified”, now or once. A CRM event says so, for as long as the lead is there.

    What was taken back within the time to undo doesn't count, as for LinkedIn.
    """
    return Exists(_qualifications())


def has_deal() -> Exists:
    return Exists(_deals())


def has_won_deal() -> Exists:
    return Exists(_deals().filter(stage__meaning=StageMeaning.WON))


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
            return Q(has_deal())
        case FunnelStep.WON:
            return Q(has_won_deal())


def _qualifications() -> CompanyQuerySet[CrmEvent]:
    """Of a lead, in a subquery."""
    events = CrmEvent.objects.filter(kind=CrmEventKind.LEAD_QUALIFIED, taken_back_at=None)
    return events.order_by().filter(company=OuterRef("company"), lead=OuterRef("pk"))


def _deals() -> DealQuerySet:
    """Of a lead, in a subquery."""
    return Deal.objects.order_by().filter(company=OuterRef("company"), lead=OuterRef("pk"))
