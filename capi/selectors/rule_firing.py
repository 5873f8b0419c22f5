"""How often a rule would have fired, had it been there for the last 30 days."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Count
from django.db.models.functions import Coalesce
from django.utils import timezone

from capi.models import CrmEventName
from capi.models.choices import Frequency
from capi.selectors.explanations.rules import counting_warning
from crm.models import Company, CrmEvent

DAYS: Final = 30
COUNTED_AT_MOST: Final = 20_000  # beyond that the exact figure tells nobody anything, and counting takes long


@dataclass(frozen=True, slots=True)
class Firing:
    """`events` CRM events of the kind, of `subjects` leads or deals; more than these where `is_more`."""

    crm_event: str
    frequency: str
    events: int
    subjects: int
    is_more: bool
    warning: str

    @property
    def is_once(self) -> bool:
        return self.frequency == Frequency.ONCE

    @property
    def times(self) -> int:
        """How often the rule would have fired."""
        return self.subjects if self.is_once else self.events

    @property
    def title(self) -> str:
        return CrmEventName(self.crm_event).label

    @property
    def about(self) -> str:
        return "deal" if CrmEventName(self.crm_event).is_about_deal else "lead"


def firing_of_each(company: Company) -> list[Firing]:
    """The figures for a new rule of each CRM event, in a query for each event, however many rules there are."""
    each = (firing_of(company, crm_event=event, frequency=Frequency.ONCE) for event in CrmEventName)
    return [firing for firing in each if firing is not None]


def firing_of(company: Company, *, crm_event: str, frequency: str, linkedin_type: str = "") -> Firing | None:
    """The figures for a rule like this, in one query; None while no CRM event has been chosen."""
    if crm_event not in CrmEventName:
        return None
    since = timezone.now() - timedelta(days=DAYS)
    recent = CrmEvent.objects.for_company(company).filter(kind=crm_event, occurred_at__gte=since)
    # In the order of the index: without one, a prepared plan walks the whole table to find none of a rare kind.
    recent = recent.order_by("-occurred_at")
    subjects = recent.values(subject=Coalesce("deal_id", "lead_id"))[: COUNTED_AT_MOST + 1]
    counts = subjects.aggregate(events=Count("*"), subjects=Count("subject", distinct=True))
    return Firing(
        crm_event=crm_event,
        frequency=frequency,
        events=min(counts["events"], COUNTED_AT_MOST),
        subjects=min(counts["subjects"], COUNTED_AT_MOST),
        is_more=counts["events"] > COUNTED_AT_MOST,
        warning=counting_warning(crm_event, linkedin_type),
    )
