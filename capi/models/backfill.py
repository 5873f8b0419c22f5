"""Sending what happened before a rule was there: a rule's past CRM events, chunk by chunk."""

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.urls import reverse

from capi.models.choices import OPEN_BACKFILLS, BackfillState, Reason
from capi.models.event import ConversionEvent
from capi.models.rule import ConversionRule
from crm.models.tenancy import CompanyQuerySet


class BackfillQuerySet(CompanyQuerySet["Backfill"]):
    def unfinished(self) -> Self:
        """Those that still go on, or may be let go on."""
        return self.filter(state__in=OPEN_BACKFILLS)

    def ready(self) -> Self:
        """Those whose next chunk may be planned, if their lane may send.

        A rule with a whole batch pending gets no more: however long LinkedIn is in trouble, a backfill never has more
        than one batch queued, and so holds up what happens now by no more than that.
        """
        pending = ConversionEvent.objects.pending().counted().filter(rule=OuterRef("rule"))
        full = Exists(pending[settings.BATCH_SIZE - 1 : settings.BATCH_SIZE])
        going = self.filter(state=BackfillState.RUNNING, rule__is_active=True, rule__is_paused=False)
        return going.filter(~full, rule__deleted_at=None)

    def cancel(self, reason: Reason = Reason.NONE) -> int:
        """End those that are unfinished. Returns how many there were. (Their events: `capi.delivery.cancellation`.)"""
        return self.unfinished().update(state=BackfillState.CANCELLED, reason=reason, finished_at=Now())


class Backfill(models.Model):
    """The past CRM events of one rule, within [`since`, `until`), on their way to becoming conversion events.

    `planned` and `done` count CRM events by what became of them (`BackfillOutcome`): as it was foreseen, and as far as
    it has come. `reached_id` is the last CRM event that was gone through, in the order of time and id.
    """

    company = models.ForeignKey("crm.Company", on_delete=models.CASCADE, related_name="backfills")
    rule = models.ForeignKey(ConversionRule, on_delete=models.RESTRICT, related_name="backfills")
    since = models.DateTimeField()
    until = models.DateTimeField()
    state = models.CharField(max_length=10, choices=BackfillState.choices, default=BackfillState.RUNNING)
    reason = models.CharField(max_length=30, choices=Reason.choices, blank=True)  # why it ended without a person's word
    planned = models.JSONField(default=dict)
    done = models.JSONField(default=dict)
    reached_id = models.BigIntegerField(null=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[BackfillQuerySet] = BackfillQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule"], condition=Q(state__in=OPEN_BACKFILLS), name="one_open_backfill_per_rule"
            ),
        ]

    def __str__(self) -> str:
        return f"Backfill {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("backfill", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_BACKFILLS

    @property
    def total(self) -> int:
        """How many CRM events there are to go through."""
        return sum(self.planned.values())

    @property
    def gone_through(self) -> int:
        return sum(self.done.values())
