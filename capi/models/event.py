"""Conversion events: one row for each CRM event and rule. And the people whom a rule has counted by one of them."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Final, Self

from django.db import models
from django.db.models import BigIntegerField, Case, F, Q, When
from django.db.models.functions import Now
from django.urls import reverse

from capi.models.choices import OPEN_STATES, STATES_THAT_HOLD_ONCE, Reason, State
from capi.models.connection import Connection, is_sending
from capi.models.rule import ConversionRule
from crm.models.tenancy import CompanyQuerySet

# The events that LinkedIn has, or may have: all that a page, a message or an undo says about it follows from this.
MAY_HAVE_ARRIVED: Final = Q(state=State.ACCEPTED) | Q(may_have_arrived=True)


def columns_in(state: State) -> dict[str, Any]:
    """The other columns that change when an event reaches this state. `capi.delivery.deduplication` has a table."""
    if state == State.PENDING:
        return {}
    if state == State.WAITING:
        return {"next_attempt_at": Now()}
    ended: dict[str, Any] = {"next_attempt_at": None, "settled_at": Now()}
    if state in STATES_THAT_HOLD_ONCE:
        return ended
    key = Case(
        When(may_have_arrived=True, then=F("once_key")), output_field=BigIntegerField()
    )
    return {**ended, "once_key": key}


def new_test_event_id() -> str:
    return f"lm-test-{uuid.uuid4().hex}"


class ConversionEventQuerySet(CompanyQuerySet["ConversionEvent"]):
    # By the index `events_newest_first`, without reading other companies' events. If thousands are asked for,
    # PostgreSQL may sort a table of 120,000 rows instead, which takes 25 to 50 ms.

    def newest_of(self, company_id: int) -> Self:
        """The company's events, newest first, to take some of them."""
        return self.filter(company__ordered_within=company_id).order_by(
            "company_id", "-pk"
        )

    def oldest_of(self, company_id: int) -> Self:
        """The company's events, oldest first, to take some of them."""
        return self.filter(company__ordered_within=company_id).order_by(
            "-company_id", "pk"
        )

    def pending(self) -> Self:
        return self.filter(state=State.PENDING)

    def counted(self) -> Self:
        """Without test events, which no count includes."""
        return self.filter(is_test=False)

    def on_hold(self, connection: Connection | None) -> Self:
        """Pending events of one company that wait until someone acts: all of them while its connection doesn't send,
        otherwise those of paused rules. Excludes test events.
        """
        pending = self.pending().counted()
        return (
            pending.filter(rule__is_paused=True) if is_sending(connection) else pending
        )

    def queued(self, connection: Connection | None) -> Self:
        """Pending events that are not on hold: they are sent automatically. Excludes test events."""
        if is_sending(connection):
            return self.pending().counted().filter(rule__is_paused=False)
        return self.none()

    def due(self) -> Self:
        """Events that may be sent now, by state and time alone: ids commit out of order.

        An event dated in the future (after a clock was set back) waits for its time: LinkedIn would reject it.
        """
        return self.filter(
            state=State.PENDING, next_attempt_at__lte=Now(), happened_at__lte=Now()
        )


class ConversionEvent(models.Model):
    """One CRM event for one rule: a row of Recent Events.

    `event_id` is sent to LinkedIn as `eventId`. It is created with the row, and never changes once it has been sent.
    Before that, an event may take over the id of one that LinkedIn may have (`capi.delivery.deduplication`).
    """

    company = models.ForeignKey(
        "crm.Company",
        on_delete=models.CASCADE,
        related_name="conversion_events",
        db_index=False,
    )
    rule = models.ForeignKey(
        ConversionRule, on_delete=models.RESTRICT, related_name="events", db_index=False
    )
    crm_event = models.ForeignKey(
        "crm.CrmEvent",
        null=True,
        on_delete=models.CASCADE,
        related_name="conversion_events",
        db_index=False,
    )
    lead = models.ForeignKey(
        "crm.Lead",
        null=True,
        on_delete=models.SET_NULL,
        related_name="conversion_events",
        db_index=False,
    )
    deal = models.ForeignKey(
        "crm.Deal",
        null=True,
        on_delete=models.SET_NULL,
        related_name="conversion_events",
        db_index=False,
    )
    event_id = models.CharField(
        max_length=64, default=new_test_event_id, editable=False
    )
    # The deduplication key, if this is the event that reports the lead or deal under a `once` rule; otherwise null.
    once_key = models.BigIntegerField(null=True, editable=False)
    happened_at = models.DateTimeField(db_default=Now())
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.PENDING
    )
    reason = models.CharField(max_length=30, choices=Reason.choices, blank=True)
    # LinkedIn's message about this event, masked.
    message = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    http_status = models.PositiveSmallIntegerField(null=True)
    # A request with this event had no clear answer, so LinkedIn may have it. It keeps its `once_key`, however it ends.
    may_have_arrived = models.BooleanField(
        default=False, db_default=False, editable=False
    )
    # Skipped for an event that was not sent yet, and not checked again since the commit: see `planning.recheck`.
    needs_recheck = models.BooleanField(default=False, db_default=False, editable=False)
    next_attempt_at = models.DateTimeField(null=True, db_default=Now())
    is_test = models.BooleanField(default=False)
    # No constraint and no index: checking the constraint cost a fifth of each settled batch, and each index costs it
    # 5 to 10 ms. Attempts are deleted in one place only (leadmachine/housekeeping.py), which first checks by company
    # and id that no event refers to them.
    last_attempt = models.ForeignKey(
        "capi.Attempt",
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="events",
        db_index=False,
        db_constraint=False,
    )
    backfill = models.ForeignKey(  # null: planned when the CRM event happened
        "capi.Backfill",
        null=True,
        on_delete=models.SET_NULL,
        related_name="events",
        db_index=False,
    )
    created_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True)

    objects: ClassVar[ConversionEventQuerySet] = ConversionEventQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["crm_event", "rule"], name="one_event_per_crm_event_and_rule"
            ),
            models.UniqueConstraint(
                fields=["rule", "once_key"],
                name="once_per_rule",
                condition=Q(once_key__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["company", "-id"], name="events_newest_first"),
            models.Index(
                fields=["company", "state", "-id"],
                name="events_not_sent",
                condition=~Q(state="accepted"),
            ),
            # In sending order, so that a batch is read from a million due events without sorting them.
            models.Index(
                fields=["rule", "next_attempt_at", "id"],
                name="events_due",
                condition=Q(state="pending"),
            ),
            models.Index(fields=["lead"], name="events_by_lead"),
            models.Index(
                fields=["deal"], name="events_by_deal", condition=Q(deal__isnull=False)
            ),
            models.Index(
                fields=["backfill"],
                name="events_by_backfill",
                condition=Q(backfill__isnull=False),
            ),
            models.Index(
                fields=["company", "-id"], name="test_events", condition=Q(is_test=True)
            ),
            models.Index(
                fields=["company"],
                name="test_events_due",
                condition=Q(state="pending", is_test=True),
            ),
            models.Index(
                fields=["id"], name="events_to_recheck", condition=Q(needs_recheck=True)
            ),
        ]

    def __str__(self) -> str:
        return self.event_id

    def get_absolute_url(self) -> str:
        return reverse("event", args=[self.pk])

    @property
    def is_open(self) -> bool:
        """True while the event may still be sent."""
        return self.state in OPEN_STATES

    def is_on_hold(self, connection: Connection | None) -> bool:
        """True if `on_hold` includes the event. `self.rule` should be loaded, and `connection` is the company's."""
        return (
            self.state == State.PENDING
            and not self.is_test
            and self.rule.is_on_hold(connection)
        )

    def seconds_of_grace(self, now: datetime) -> float:
        """How long the change behind a queued event can still be taken back before it is sent; 0 if it can't."""
        is_new = self.state == State.PENDING and not (
            self.attempts or self.reason or self.is_test
        )
        if self.pk is None or not is_new or self.next_attempt_at is None:
            return 0.0
        return max(0.0, (self.next_attempt_at - now).total_seconds())


class CountedPerson(models.Model):
    """The one conversion that a person has under a rule: LinkedIn has this event of theirs, or may have it.

    A row is written when a request is paid for, and deleted if LinkedIn certainly accepted nothing. So it counts,
    however its event ends. `person` is `capi.linkedin.identity.counted_person_key` of the address as it was sent.
    """

    rule = models.ForeignKey(
        ConversionRule, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    person = models.BigIntegerField()
    event = models.ForeignKey(
        ConversionEvent, on_delete=models.CASCADE, related_name="counted_people"
    )

    class Meta:
        verbose_name_plural = "counted people"
        constraints = [
            models.UniqueConstraint(fields=["rule", "person"], name="once_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.rule_id}: event {self.event_id}"
