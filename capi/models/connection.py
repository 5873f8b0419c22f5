"""A company's line to LinkedIn."""

from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from capi.models.choices import Reason, RestCause, only_digits
from crm.models.tenancy import CompanyQuerySet

LONG_REST: Final = timedelta(minutes=5)  # people are told of a longer one
NEXT_REQUEST_TAKES: Final = timedelta(minutes=5)  # at most, from the end of a rest: a sweep, a turn and a slow answer


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
    # Kinds of failure are counted apart, and each only while no other answer comes between.
    failures_in_a_row = models.PositiveIntegerField(default=0, editable=False)
    throttles_in_a_row = models.PositiveIntegerField(
        default=0, db_default=0, editable=False
    )  # 429s without a Retry-After
    # Since when no request has been answered properly, and why the lane rests now; null and "" while all is well.
    resting_since = models.DateTimeField(null=True, editable=False)
    rest_cause = models.CharField(
        max_length=20, choices=RestCause.choices, blank=True, default="", db_default="", editable=False
    )
    requests_left = models.FloatField(null=True, editable=False)  # of the minute's purse, at `requests_counted_at`
    requests_counted_at = models.DateTimeField(null=True, editable=False)
    # How many bytes a request may have, while LinkedIn has found a larger one too large (413).
    body_limit = models.PositiveIntegerField(null=True, editable=False)

    # When its state is to be compared with the open alerts next: see capi.alerts.evaluate. Null: as soon as possible.
    next_look_at = models.DateTimeField(null=True, editable=False)
    mailed_week = models.DateField(null=True, editable=False)  # the Monday of the last week that was reconciled by mail
    checkup_claimed_at = models.DateTimeField(
        null=True, editable=False
    )  # by the worker that makes it: see capi.diagnostics.checkups

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

    def failing_since(self, now: datetime) -> datetime | None:
        """Since when no request has been answered properly. None once so much time has passed since the last failure
        that nothing waits for another try of it: what comes then is judged by itself.
        """
        if self.resting_since is None:
            return None
        longest_wait = timedelta(seconds=settings.RETRY_LAST_SECONDS * 1.2) + NEXT_REQUEST_TAKES
        return self.resting_since if now < (self.next_attempt_at or self.resting_since) + longest_wait else None

    def rests_long(self, now: datetime) -> bool:
        """True while nothing has got through for longer than five minutes, or will not, though nothing is paused.

        Also while the request is made that ends the rest, or prolongs it.
        """
        if self.next_attempt_at is None or self.resting_since is None or not self.is_sending:
            return False
        return self.rest_length > LONG_REST and now < self.next_attempt_at + NEXT_REQUEST_TAKES

    @property
    def rest_length(self) -> timedelta:
        """From the first failure to the next try, whatever was tried between."""
        if self.next_attempt_at is None or self.resting_since is None:
            return timedelta()
        return self.next_attempt_at - self.resting_since


# --- What the doctor found last.


class Checkup(models.Model):
    """A company's newest check-up. `findings` is what `capi.diagnostics.findings.as_json` made of it."""

    company = models.OneToOneField("crm.Company", on_delete=models.CASCADE, related_name="checkup")
    ran_at = models.DateTimeField(db_default=Now())
    findings = models.JSONField(default=list)

    objects: ClassVar[CompanyQuerySet["Checkup"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Check-up of company {self.company_id}"
