"""The CRM events, by the names that crm gives them."""

from django.db import models


class CrmEventName(models.TextChoices):
    """The CRM events that a rule can be mapped to, by the names that crm gives them."""

    LEAD_CREATED = "lead_created", "Lead created"
    LEAD_QUALIFIED = "lead_qualified", "Lead qualified"
    DEAL_CREATED = "deal_created", "Deal created"
    DEAL_WON = "deal_won", "Deal won"
    DEAL_LOST = "deal_lost", "Deal lost"

    @property
    def is_about_deal(self) -> bool:
        """True for the events that carry a deal, and so a value."""
        return self.value.startswith("deal_")
