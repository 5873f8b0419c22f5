"""CRM events: the append-only history of leads and deals, and the source of every conversion."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.tenancy import CompanyQuerySet


class CrmEventKind(models.TextChoices):
    """The kinds of event that a company can report to LinkedIn."""

    LEAD_CREATED = "lead_created", "Lead created"
    LEAD_QUALIFIED = "lead_qualified", "Lead qualified"
    DEAL_CREATED = "deal_created", "Deal created"
    DEAL_WON = "deal_won", "Deal won"
    DEAL_LOST = "deal_lost", "Deal lost"


class CrmEvent(models.Model):
    """An event of a lead or deal, with the deal's amount and currency at that time, or as corrected before its release.

    Written only by `crm.models.tracking.recorder`, in the transaction of the change.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="crm_events", db_index=False
    )
    kind = models.CharField(max_length=20, choices=CrmEventKind.choices)
    lead = models.ForeignKey(
        "crm.Lead", null=True, on_delete=models.SET_NULL, related_name="crm_events"
    )
    deal = models.ForeignKey(
        "crm.Deal", null=True, on_delete=models.SET_NULL, related_name="crm_events"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    # Set where a script, not a person, made the change.
    api_key = models.ForeignKey(
        "crm.ApiKey",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    occurred_at = models.DateTimeField(db_default=Now())
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)
    # Until then, the change can be taken back and is not sent to LinkedIn. Null: it may be sent at once.
    release_at = models.DateTimeField(null=True, editable=False)
    # Set once the change was undone or set back: no conversion event is planned for it any more.
    taken_back_at = models.DateTimeField(null=True, editable=False)
    # The action that did so.
    taken_back_by = models.UUIDField(null=True, editable=False)
    # Of the request, if it can be undone.
    action = models.UUIDField(null=True, editable=False)
    # Only for the history: no rule or backfill ever plans a conversion event for it.
    history_only = models.BooleanField(default=False, db_default=False, editable=False)
    # The event's id outside this database: a restored backup never gives an old id to a new event.
    public_id = models.UUIDField(default=uuid.uuid4, editable=False)

    objects: ClassVar[CompanyQuerySet["CrmEvent"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "CRM event"
        ordering = ["-occurred_at", "-pk"]
        indexes = [
            models.Index(
                fields=["company", "kind", "occurred_at"], name="crm_event_by_kind"
            ),
            # For what is new to a member (`crm.selectors.timeline`), of events and of changes.
            models.Index(
                fields=["company", "-occurred_at", "-id"], name="crm_event_by_time"
            ),
            # For recently won or lost deals (`crm.selectors.deals`), found without reading an event.
            models.Index(
                fields=["company", "occurred_at", "deal"],
                name="closed_deals",
                condition=Q(
                    kind__in=(CrmEventKind.DEAL_WON, CrmEventKind.DEAL_LOST),
                    deal__isnull=False,
                ),
            ),
            models.Index(
                fields=["api_key"],
                name="crm_event_by_api_key",
                condition=Q(api_key__isnull=False),
            ),
            models.Index(
                fields=["action"],
                name="crm_event_by_action",
                condition=Q(action__isnull=False),
            ),
            models.Index(
                fields=["taken_back_by"],
                name="crm_event_by_taker",
                condition=Q(taken_back_by__isnull=False),
            ),
            # For the leads that were ever qualified (`crm.models.funnel`), which are found without reading an event.
            models.Index(
                fields=["company", "lead"],
                name="qualified_leads",
                condition=Q(kind=CrmEventKind.LEAD_QUALIFIED, taken_back_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"
