"""Where crm's signals come in. Each makes one call, in the transaction of the change, and asks for a wake-up."""

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from capi import killpoints
from capi.pipeline import plan
from capi.wakeup import wake_on_commit
from crm.models import CrmEvent
from crm.signals import crm_events_recorded, lead_contact_changed


@receiver(crm_events_recorded)
def plan_conversions(events: Sequence[CrmEvent], **kwargs: Any) -> None:
    """Make the conversion events of these CRM events."""
    for company_id in plan.plan([event.pk for event in events]):
        wake_on_commit(company_id)
    killpoints.reached("planned")


@receiver(lead_contact_changed)
def follow_contact(lead_ids: Sequence[int], **kwargs: Any) -> None:
    """Let waiting events go where there is an address now, and skip those of people who opted out."""
    for company_id in plan.contact_changed(lead_ids=lead_ids):
        wake_on_commit(company_id)
