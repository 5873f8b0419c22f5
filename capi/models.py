"""What a company connects, what it maps, and each conversion on its way to LinkedIn."""

import uuid
from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from capi.reasons import OPEN_STATES, Frequency, Reason, State

M = TypeVar("M", bound=models.Model, covariant=True)

MAX_ID_DIGITS = 19
only_digits = RegexValidator(r"^[1-9][0-9]{0,18}\Z", "Enter the id as digits only, without blanks or letters.")


def check_linkedin_id(bare: str) -> None:
    """Raises ValidationError, with what is wrong with it, where this can be no id of LinkedIn's."""
    if bare.isascii() and bare.isdigit():
        if len(bare) > MAX_ID_DIGITS:
            raise ValidationError(f"The id is too long: it has at most {MAX_ID_DIGITS} digits.")
        if bare.startswith("0"):
            raise ValidationError("The id can't begin with zero.")
    only_digits(bare)


class CompanyQuerySet(models.QuerySet[M]):
    """Rows that belong to a company; capi's pipeline does not know crm, hence its own."""

    def for_company(self, company: Any) -> Self:
        """Only the rows of this company (or company id)."""
        return self.filter(company=company)


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


class Connection(models.Model):
    """A company's line to LinkedIn: the sealed token, whether it is paused, and the lane.

    The lane: `lease_id` and `leased_until` say which worker sends for this company now; `next_attempt_at` says until
    when the lane rests. Both times are null when there is nothing to wait for.
    """

    company = models.OneToOneField("crm.Company", on_delete=models.CASCADE, related_name="linkedin_connection")
    ad_account_id = models.CharField(max_length=19, blank=True, validators=[only_digits])

    sealed_token = models.TextField(blank=True, editable=False)
    token_last_four = models.CharField(max_length=4, blank=True, editable=False)
    token_version = models.PositiveIntegerField(default=0, editable=False)
    token_saved_at = models.DateTimeField(null=True, editable=False)
    token_saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    token_expires_on = models.DateField(null=True, blank=True)

    is_paused = models.BooleanField(default=False)
    paused_reason = models.CharField(max_length=30, choices=Reason.choices, blank=True)
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_version = models.CharField(max_length=6, blank=True, editable=False)  # the API version that LinkedIn retired

    lease_id = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    next_attempt_at = models.DateTimeField(null=True, editable=False)
    request_started_at = models.DateTimeField(null=True, editable=False)  # of the request that is under way
    # Goes up when persons must not be sent any more: what was read for sending before is then looked at again.
    recalls = models.PositiveIntegerField(default=0, editable=False)
    failures_in_a_row = models.PositiveIntegerField(default=0, editable=False)
    requests_left = models.FloatField(null=True, editable=False)  # of the minute's purse, at `requests_counted_at`
    requests_counted_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[CompanyQuerySet["Connection"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "LinkedIn connection"

    def __str__(self) -> str:
        return f"LinkedIn connection of company {self.company_id}"

    @property
    def has_token(self) -> bool:
        return bool(self.sealed_token)

    @property
    def is_sending(self) -> bool:
        """True if events go out: there is a token, and nothing holds them."""
        return self.has_token and not self.is_paused


class ConversionRuleQuerySet(CompanyQuerySet["ConversionRule"]):
    def active(self) -> Self:
        """Rules that the admin has switched on (LinkedIn may still have paused them)."""
        return self.filter(is_active=True)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Mark as deleted: the log of what the rules sent stays, and what waited for them is cancelled."""
        count = self.update(deleted_at=Now(), is_active=False)
        return count, {self.model._meta.label: count}


class LiveRules(models.Manager.from_queryset(ConversionRuleQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> ConversionRuleQuerySet:
        return super().get_queryset().filter(deleted_at=None)  # type: ignore[no-any-return]


class ConversionRule(models.Model):
    """A CRM event mapped to a conversion rule of LinkedIn Campaign Manager.

    `is_active` is the admin's word, `is_paused` LinkedIn's. `objects` leaves out deleted rules.
    """

    company = models.ForeignKey("crm.Company", on_delete=models.CASCADE, related_name="conversion_rules")
    crm_event = models.CharField("CRM event", max_length=20, choices=CrmEventName.choices)
    linkedin_id = models.CharField("LinkedIn rule id", max_length=19, validators=[only_digits])
    name = models.CharField(max_length=120)
    is_active = models.BooleanField("active", default=True)
    is_paused = models.BooleanField(default=False, editable=False)
    paused_reason = models.CharField(max_length=30, choices=Reason.choices, blank=True, editable=False)
    paused_message = models.TextField(blank=True, editable=False)  # LinkedIn's words, masked
    paused_at = models.DateTimeField(null=True, editable=False)
    send_value = models.BooleanField(
        default=True, help_text="For deal events: send the deal's amount and currency as the conversion value."
    )
    frequency = models.CharField(max_length=10, choices=Frequency.choices, default=Frequency.ONCE)
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
        return self.name

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Mark as deleted: the log of what the rule sent stays, and what waited for it is cancelled."""
        own: ConversionRuleQuerySet = type(self).objects.filter(pk=self.pk)
        return own.delete()

    @property
    def is_about_deal(self) -> bool:
        """True if the rule's CRM event carries a deal, and so a value."""
        return CrmEventName(self.crm_event).is_about_deal

    @property
    def sends_value(self) -> bool:
        """True if the rule sends a conversion value: it is asked to, and its CRM event has one."""
        return self.send_value and self.is_about_deal


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
    last_attempt = models.ForeignKey(
        "capi.Attempt", null=True, on_delete=models.SET_NULL, related_name="events", db_index=False
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
            models.Index(fields=["rule", "next_attempt_at"], name="events_due", condition=Q(state="pending")),
            models.Index(fields=["lead"], name="events_by_lead"),
            models.Index(fields=["deal"], name="events_by_deal", condition=Q(deal__isnull=False)),
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


class Attempt(models.Model):
    """One HTTP request to LinkedIn and its answer. It holds no token and no address."""

    company = models.ForeignKey("crm.Company", on_delete=models.CASCADE, related_name="attempts")
    rule = models.ForeignKey(ConversionRule, on_delete=models.RESTRICT, related_name="attempts", db_index=False)
    linkedin_id = models.CharField(max_length=19)  # as it was when the request went out
    sent_value = models.BooleanField(default=False)
    api_version = models.CharField(max_length=6)
    started_at = models.DateTimeField(db_default=Now())
    duration_ms = models.PositiveIntegerField(default=0)
    event_count = models.PositiveIntegerField(default=1)
    http_status = models.PositiveSmallIntegerField(null=True)  # null: no whole answer came
    code = models.CharField(max_length=80, blank=True)
    message = models.TextField(blank=True)  # LinkedIn's words, masked and shortened
    # What went out, so that a page can show exactly that, whatever an address is now: see capi.pipeline.sent.
    sent_hashes = models.BinaryField(default=b"", editable=False)

    objects: ClassVar[CompanyQuerySet["Attempt"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Attempt {self.pk}: {self.http_status or 'no answer'}"


class EarlierAttempt(models.Model):
    """Ties an event to an attempt that was not its last. Most events need one attempt, and so no row here."""

    event = models.ForeignKey(ConversionEvent, on_delete=models.CASCADE, related_name="earlier_attempts")
    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="+", db_index=False)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.event_id}: attempt {self.attempt_id}"


def clean_linkedin_id(text: str) -> str:
    """The bare rule id from what a person pasted, which may be the whole URN.

    Raises ValidationError where that is not a LinkedIn id.
    """
    bare = text.strip().removeprefix("urn:lla:llaPartnerConversion:")
    check_linkedin_id(bare)
    return bare


__all__ = [
    "Attempt",
    "Connection",
    "ConversionEvent",
    "ConversionRule",
    "CrmEventName",
    "EarlierAttempt",
    "Frequency",
    "check_linkedin_id",
    "clean_linkedin_id",
]
