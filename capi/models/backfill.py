"""Backfills: sending CRM events that happened before their rule existed, in chunks."""

from typing import ClassVar, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.urls import reverse

from capi.models.choices import Reason
from capi.models.event import ConversionEvent
from capi.models.rule import ConversionRule
from crm.models.job import AT_WORK, Job, JobQuerySet, JobState
from crm.models.roles import Action

OPEN_BACKFILLS: Final = (*AT_WORK, JobState.PAUSED)


class BackfillQuerySet(JobQuerySet["Backfill"]):
    def unfinished(self) -> Self:
        """Running or paused backfills."""
        return self.filter(state__in=OPEN_BACKFILLS)

    def ready(self) -> Self:
        """Backfills whose next chunk may be planned, if their lane may send.

        A rule with a full batch pending gets no more. However long LinkedIn has trouble, a backfill never queues more
        than one batch, so it delays new events by no more than that.
        """
        pending = (
            ConversionEvent.objects.pending().counted().filter(rule=OuterRef("rule"))
        )
        full = Exists(pending[settings.BATCH_SIZE - 1 : settings.BATCH_SIZE])
        running = self.at_work().filter(rule__is_active=True, rule__is_paused=False)
        return running.filter(~full, rule__deleted_at=None)

    def cancel(self, reason: Reason = Reason.NONE) -> int:
        """Cancel the unfinished ones and return how many there were. (Their events: `capi.delivery.cancellation`.)"""
        return self.unfinished().update(
            state=JobState.CANCELLED, reason=reason, finished_at=Now()
        )


class Backfill(Job):
    """A run that turns one rule's past CRM events, within [`since`, `until`), into conversion events.

    `planned` and `done` count CRM events by `BackfillOutcome`: as previewed, and so far. `reached_id` is the last CRM
    event processed, in order of time and id. `made_by` is null if it was started from the command line.
    """

    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, related_name="backfills"
    )
    rule = models.ForeignKey(
        ConversionRule, on_delete=models.RESTRICT, related_name="backfills"
    )
    since = models.DateTimeField()
    until = models.DateTimeField()
    # Why it was cancelled, if not by a person.
    reason = models.CharField(max_length=30, choices=Reason.choices, blank=True)
    planned = models.JSONField(default=dict)
    done = models.JSONField(default=dict)
    reached_id = models.BigIntegerField(null=True)
    api_key = api_key_id = None  # no key can start one

    objects: ClassVar[BackfillQuerySet] = BackfillQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule"],
                condition=Q(state__in=OPEN_BACKFILLS),
                name="one_open_backfill_per_rule",
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
    def can_be_cancelled(self) -> bool:
        return self.is_open

    @property
    def title(self) -> str:
        return str(self.rule)

    @property
    def needs(self) -> Action | None:
        return Action.BACKFILL if self.made_by_id else None
