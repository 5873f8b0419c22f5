"""A company's connection to LinkedIn."""

from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from capi.models.choices import Reason, RestCause, only_digits
from crm.models.tenancy import CompanyQuerySet
from postgresql.identity import TableIdentity

LONG_REST: Final = timedelta(minutes=5)  # pages and alerts report a longer one
# At most, from the end of a rest: a sweep, a batch and a slow response.
NEXT_REQUEST_TAKES: Final = timedelta(minutes=5)

THIS_DATABASE: Final = TableIdentity("capi_connection")
NO_DATABASE: Final = "none"  # in `sends_from`, once the operator has paused all sending
# True for a connection whose events may be sent from this database. All others are held back: no event is sent, not
# even a test event, until the operator resumes sending.
SENDS_FROM_HERE: Final = Q(sends_from="") | Q(sends_from=THIS_DATABASE)
IS_HELD_BACK: Final = ExpressionWrapper(~SENDS_FROM_HERE, BooleanField())


class Connection(models.Model):
    """A company's connection to LinkedIn: the sealed token, whether sending is paused, and the lane.

    The lane: `lease_id` and `leased_until` name the worker that sends for this company, and no request goes out before
    `next_attempt_at`. Both times are null when there is nothing to wait for.
    """

    company = models.OneToOneField(
        "crm.Company", on_delete=models.CASCADE, related_name="linkedin_connection"
    )
    ad_account_id = models.CharField(
        max_length=19, blank=True, validators=[only_digits]
    )

    sealed_token = models.TextField(blank=True, editable=False)
    # models.token.
    token_fingerprint = models.CharField(
        max_length=8, blank=True, db_default="", editable=False
    )
    token_version = models.PositiveIntegerField(default=0, editable=False)
    token_saved_at = models.DateTimeField(null=True, editable=False)
    token_saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    token_expires_on = models.DateField(null=True, blank=True)
    # When LinkedIn last listed rules for it.
    token_confirmed_at = models.DateTimeField(null=True, editable=False)

    is_paused = models.BooleanField(default=False)
    paused_reason = models.CharField(max_length=30, choices=Reason.choices, blank=True)
    paused_at = models.DateTimeField(null=True, editable=False)
    # The API version that LinkedIn retired.
    paused_version = models.CharField(max_length=6, blank=True, editable=False)

    # The database that may send for the company (`TableIdentity`). If a script left it empty, a sweep notes it. A
    # restored backup, or a copy of the database, sends nothing until the operator resumes sending.
    sends_from = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )

    lease_id = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    next_attempt_at = models.DateTimeField(null=True, editable=False)
    # The start of the current request, and its events (`pack_ids`). If its worker dies, they stay for the next worker.
    request_started_at = models.DateTimeField(null=True, editable=False)
    request_events = models.BinaryField(null=True, editable=False)
    # Incremented by each recall (capi.delivery.recall): batches read before that are then read again. See `Recall`.
    recalls = models.PositiveIntegerField(default=0, editable=False)
    # Each kind of failure is counted separately, and any other response resets the count.
    failures_in_a_row = models.PositiveIntegerField(default=0, editable=False)
    # 429s without a Retry-After.
    throttles_in_a_row = models.PositiveIntegerField(
        default=0, db_default=0, editable=False
    )
    # Since when no request has succeeded, and why the lane rests now; null and "" while all is well.
    resting_since = models.DateTimeField(null=True, editable=False)
    rest_cause = models.CharField(
        max_length=20,
        choices=RestCause.choices,
        blank=True,
        default="",
        db_default="",
        editable=False,
    )
    # Of this minute's budget, as of `requests_counted_at`.
    requests_left = models.FloatField(null=True, editable=False)
    requests_counted_at = models.DateTimeField(null=True, editable=False)
    # The largest request in bytes, after LinkedIn has rejected a larger one (413).
    body_limit = models.PositiveIntegerField(null=True, editable=False)

    # When to compare its state with the open alerts next (capi.alerts.evaluate). Null: as soon as possible.
    next_look_at = models.DateTimeField(null=True, editable=False)
    # The Monday of the last weekly mail.
    mailed_week = models.DateField(null=True, editable=False)
    # By a worker: see capi.diagnostics.checkups.
    checkup_claimed_at = models.DateTimeField(null=True, editable=False)

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
        """True if events go out: there is a token, and sending isn't paused."""
        return self.has_token and not self.is_paused

    @property
    def can_be_resumed(self) -> bool:
        """True unless only the operator can end the pause."""
        return self.paused_reason != Reason.ALL_PAUSED

    @property
    def needs_token(self) -> bool:
        """True if sending is paused until another token is saved."""
        return self.is_paused and self.paused_reason in (
            Reason.TOKEN_REFUSED,
            Reason.TOKEN_UNREADABLE,
        )

    def failing_since(self, now: datetime) -> datetime | None:
        """Since when no request has succeeded. None if all is well, or if the last failure is so long ago that none of
        its events still waits for a retry: a new failure then starts a new period.
        """
        if self.resting_since is None:
            return None
        longest_wait = (
            timedelta(seconds=settings.RETRY_LAST_SECONDS * 1.2) + NEXT_REQUEST_TAKES
        )
        if now < (self.next_attempt_at or self.resting_since) + longest_wait:
            return self.resting_since
        return None

    def rests_long(self, now: datetime) -> bool:
        """True if the lane rests for longer than five minutes in total, though sending isn't paused.

        Stays true during the request that ends or extends the rest.
        """
        if (
            self.next_attempt_at is None
            or self.resting_since is None
            or not self.is_sending
        ):
            return False
        return (
            self.rest_length > LONG_REST
            and now < self.next_attempt_at + NEXT_REQUEST_TAKES
        )

    @property
    def rest_length(self) -> timedelta:
        """From the first failure to the next attempt, whatever was tried in between."""
        if self.next_attempt_at is None or self.resting_since is None:
            return timedelta()
        return self.next_attempt_at - self.resting_since


def is_sending(connection: Connection | None) -> bool:
    """True if the company has a connection and events go out over it. Otherwise all its events are on hold."""
    return connection is not None and connection.is_sending


class Recall(models.Model):
    """A recall that the lane's worker has yet to add to `recalls`, written by a change that must not lock that row.

    A row becomes visible with its change, and in no particular order.
    """

    # Without a constraint, which would refuse the rows of the leads that are deleted together with their company.
    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    made_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CompanyQuerySet["Recall"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Recall {self.pk} of company {self.company_id}"


class Checkup(models.Model):
    """A company's latest check-up. `findings` has the format of `capi.diagnostics.findings.as_json`."""

    company = models.OneToOneField(
        "crm.Company", on_delete=models.CASCADE, related_name="checkup"
    )
    ran_at = models.DateTimeField(db_default=Now())
    findings = models.JSONField(default=list)

    objects: ClassVar[CompanyQuerySet["Checkup"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Check-up of company {self.company_id}"
