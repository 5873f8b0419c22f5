"""Requests to LinkedIn."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from capi.models.event import ConversionEvent
from capi.models.rule import ConversionRule
from crm.models.tenancy import CompanyQuerySet


class Attempt(models.Model):
    """One HTTP request to LinkedIn and the response. It contains no token and no e-mail address."""

    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, related_name="attempts"
    )
    rule = models.ForeignKey(
        ConversionRule,
        on_delete=models.RESTRICT,
        related_name="attempts",
        db_index=False,
    )
    linkedin_id = models.CharField(max_length=19)  # at the time of the request
    sent_value = models.BooleanField(default=False)
    api_version = models.CharField(max_length=6)
    started_at = models.DateTimeField(db_default=Now())
    duration_ms = models.PositiveIntegerField(default=0)
    event_count = models.PositiveIntegerField(default=1)
    # Null: no complete response.
    http_status = models.PositiveSmallIntegerField(null=True)
    code = models.CharField(max_length=80, blank=True)
    message = models.TextField(blank=True)  # LinkedIn's message, masked and shortened
    # The hashes as sent, for pages to show even after an address changes: see capi.delivery.sent_hashes.
    sent_hashes = models.BinaryField(default=b"", editable=False)

    objects: ClassVar[CompanyQuerySet["Attempt"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Attempt {self.pk}: {self.http_status or 'no answer'}"


class EarlierAttempt(models.Model):
    """Links an event to an attempt before its last. Most events need one attempt and so have no row here."""

    event = models.ForeignKey(
        ConversionEvent, on_delete=models.CASCADE, related_name="earlier_attempts"
    )
    attempt = models.ForeignKey(
        Attempt, on_delete=models.CASCADE, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["pk"]
        # The database checks this table for each attempt it deletes: without the index, 10,000 took 72 s.
        indexes = [models.Index(fields=["attempt"], name="earlier_by_attempt")]

    def __str__(self) -> str:
        return f"{self.event_id}: attempt {self.attempt_id}"
