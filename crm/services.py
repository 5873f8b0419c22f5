"""What people do to leads and deals, beyond filling in a form."""

from django.db.models.functions import Now

from crm.models import Deal, LeadStatus, Stage
from crm.models.lead import LeadQuerySet


def change_status(*, leads: LeadQuerySet, status: LeadStatus) -> int:
    """Give all these leads a status. Returns how many had another one."""
    return leads.exclude(status=status).update(status=status, updated_at=Now())


def move_deal(*, deal: Deal, stage: Stage) -> None:
    """Put a deal into a stage. Only that is written: whatever else changed meanwhile stays."""
    deal.stage = stage
    deal.save(update_fields=["stage", "updated_at"])
