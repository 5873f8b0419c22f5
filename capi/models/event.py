"""Each conversion on its way to LinkedIn."""

import uuid
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from capi.models.choices import OPEN_STATES, Reason, State
from capi.models.rule import ConversionRule
from crm.models.tenancy import CompanyQuerySet


def new_test_event_id() -> str:
    return f"lm-test-{uuid.uuid4().hex}"


class ConversionEventQuerySet(CompanyQuerySet["ConversionEvent"]):
    def pending(self) -> Self:
        return self.filter(state=State.PENDING)

    def counted(self) -> Self:
        """Without test events, which are left out of every count."""
        return self.filter(is_test=False)

    def due(self) -> Self:
        """What may be sent now. Found by state and time alone: ids commit out of order.

        An event that is dated ahead (a clock was set back) waits for its time: LinkedIn refuses the future.
        """
        return self.filter(state=State.PENDING, next_attempt_at__lte=Now(), happened_at__lte=Now())


class ConversionEvent(models.Model):
    """One CRM event for one rule on its way to LinkedIn: a row of Recent Events.

    `event_id` is exactly the `eventId` on the wire. It is made with the row and never changes.
    """

    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, related_name="conversion_events", db_index=False
    )
    rule = models.ForeignKey(ConversionRule, on_delete=models.RESTRICT, related_name="events", db_index=False)
    crm_event = models.ForeignKey(
        "crm.CrmEvent", null=True, on_delete=models.CASCADE, related_name="conversion_events", db_index=False
    )
    lead = models.ForeignKey(
        "crm.Lead", null=True, on_delete=models.SET_NULL, related_name="conversion_events", db_index=False
    )
    deal = models.ForeignKey(
        "crm.Deal", null=True, on_delete=models.SET_NULL, related_name="conversion_events", db_index=False
    )
    event_id = models.CharField(max_length=64, default=new_test_event_id, editable=False)
    # The lead or deal whose one place in a `once` rule this row holds; null where it holds none.
    once_key = models.BigIntegerField(null=True, editable=False)
    happened_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=30, choices=Reason.choices, blank=True)
    message = models.TextField(blank=True)  # LinkedIn's words about this event, masked
    attempts = models.PositiveSmallIntegerField(default=0)
    http_status = models.PositiveSmallIntegerField(null=True)
    next_attempt_at = models.DateTimeField(null=True, db_default=Now())
    is_test = models.BooleanField(default=False)
    # Without a constraint and without an index: checking it cost a fifth of each settled batch, and each index costs
    # 5 to 10 ms of it. Attempts are deleted in one place (leadmachine/housekeeping.py), which first looks by company
    # and id whether an event names them.
    last_attempt = models.ForeignKey(
        "capi.Attempt", null=True, on_delete=models.DO_NOTHING, related_name="events", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    backfill = models.ForeignKey(  # null: planned when it happened
        "capi.Backfill", null=True, on_delete=models.SET_NULL, related_name="events", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True)

    objects: ClassVar[ConversionEventQuerySet] = ConversionEventQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["crm_event", "rule"], name="one_event_per_crm_event_and_rule"),
            models.UniqueConstraint(
                fields=["rule", "once_key"], name="once_per_rule", condition=Q(once_key__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["company", "-id"], name="events_newest_first"),
            models.Index(fields=["company", "state", "-id"], name="events_not_sent", condition=~Q(state="accepted")),
            # In the order in which they are sent, so that a batch of a million due ones is read without sorting them.
            models.Index(fields=["rule", "next_attempt_at", "id"], name="events_due", condition=Q(state="pending")),
            models.Index(fields=["lead"], name="events_by_lead"),
            models.Index(fields=["deal"], name="events_by_deal", condition=Q(deal__isnull=False)),
            models.Index(fields=["backfill"], name="events_by_backfill", condition=Q(backfill__isnull=False)),
            models.Index(fields=["company"], name="test_events_due", condition=Q(state="pending", is_test=True)),
        ]

    def __str__(self) -> str:
        return self.event_id

    def get_absolute_url(self) -> str:
        return reverse("event", args=[self.pk])

    @property
    def is_open(self) -> bool:
        """True while the event may still be sent."""
        return self.state in OPEN_STATES

    @property
    def expires_at(self) -> Any:
        """When LinkedIn stops taking the event (linkedin-capi: 90 days after it happened)."""
        return self.happened_at + timedelta(days=settings.EVENT_MAX_AGE_DAYS)
