"""Conversion rules: which CRM events a company sends to LinkedIn."""

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from capi.models.choices import (
    EVENTS_ABOUT_DEALS,
    EVENTS_WITH_VALUE,
    CrmEventName,
    Frequency,
    Reason,
    only_digits,
)
from capi.models.connection import Connection, is_sending
from crm.models.bidi import without_bidi_controls
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import check_seen


class ConversionRuleQuerySet(CompanyQuerySet["ConversionRule"]):
    def active(self) -> Self:
        """Rules that an admin has switched on. LinkedIn may still have paused them."""
        return self.filter(is_active=True)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Mark as deleted: the log of what the rules sent stays, and their pending events are cancelled."""
        count = self.update(deleted_at=Now(), is_active=False)
        return count, {self.model._meta.label: count}


class LiveRules(models.Manager.from_queryset(ConversionRuleQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> ConversionRuleQuerySet:
        return super().get_queryset().filter(deleted_at=None)  # type: ignore[no-any-return]


class ConversionRule(models.Model):
    """A CRM event mapped to a conversion rule of LinkedIn Campaign Manager.

    An admin sets `is_active`; LinkedIn's responses set `is_paused`. `objects` leaves out deleted rules.
    """

    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, related_name="conversion_rules"
    )
    crm_event = models.CharField(
        "CRM event", max_length=20, choices=CrmEventName.choices
    )
    linkedin_id = models.CharField(
        "LinkedIn rule id", max_length=19, validators=[only_digits]
    )
    name = models.CharField(max_length=120)
    is_active = models.BooleanField("active", default=True)
    is_paused = models.BooleanField(default=False, editable=False)
    paused_reason = models.CharField(
        max_length=30, choices=Reason.choices, blank=True, editable=False
    )
    # LinkedIn's message, masked.
    paused_message = models.TextField(blank=True, editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    send_value = models.BooleanField(
        default=True,
        help_text="For deal events: send the deal's amount and currency as the conversion value.",
    )
    frequency = models.CharField(
        max_length=10, choices=Frequency.choices, default=Frequency.ONCE
    )
    # As last read from LinkedIn; "" and null if the rule was never read.
    linkedin_type = models.CharField(max_length=40, blank=True, editable=False)
    linkedin_method = models.CharField(max_length=40, blank=True, editable=False)
    linkedin_enabled = models.BooleanField(null=True, editable=False)
    linkedin_read_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[LiveRules] = LiveRules()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "crm_event", "linkedin_id"],
                condition=Q(is_active=True),
                name="one_active_rule_per_event_and_id",
                violation_error_message="An active rule sends this CRM event to this LinkedIn rule id already.",
            )
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    def get_absolute_url(self) -> str:
        return reverse("rule", args=[self.pk])

    def clean(self) -> None:
        """Raise ValidationError for a name that can't be seen."""
        super().clean()
        check_seen(name=self.name)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Mark as deleted: the log of what the rule sent stays, and its pending events are cancelled."""
        own: ConversionRuleQuerySet = type(self).objects.filter(pk=self.pk)
        return own.delete()

    @property
    def is_about_deal(self) -> bool:
        """True if the rule's CRM event carries a deal, and so a value."""
        return self.crm_event in EVENTS_ABOUT_DEALS

    @property
    def sends_value(self) -> bool:
        """True if the rule sends a conversion value: it is set to, and its CRM event is one with a value.

        `send_value` alone is not enough: it may have been saved for any other event, by the API or long ago.
        """
        return self.send_value and self.crm_event in EVENTS_WITH_VALUE

    @property
    def counts_people(self) -> bool:
        """True if the rule counts each person once, however many leads and deals they have."""
        return self.frequency == Frequency.PER_PERSON

    def is_on_hold(self, connection: Connection | None) -> bool:
        """True while the rule's events wait until someone acts: it is paused, or the connection doesn't send."""
        return self.is_paused or not is_sending(connection)
