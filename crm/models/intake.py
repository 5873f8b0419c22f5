"""Sources: websites and programs that send leads to a secret address, and the payloads that they sent."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import URLValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.crypto import seal_for, unseal_for
from crm.models.lead import Lead
from crm.models.people import sha256
from crm.models.tenancy import CompanyQuerySet


class IntakeSourceQuerySet(CompanyQuerySet["IntakeSource"]):
    def find(self, token: str) -> "IntakeSource | None":
        """The source with this token in its address, or None."""
        return self.filter(token_sha256=sha256(token)).select_related("company").first()


class SignatureKind(models.TextChoices):
    """How a sender shows that a payload is its own."""

    STANDARD = "standard", "Standard Webhooks"
    SHOPIFY = "shopify", "Shopify"
    TYPEFORM = "typeform", "Typeform"
    TALLY = "tally", "Tally"
    WEBFLOW = "webflow", "Webflow app"
    GOOGLE = "google", "Google lead form (key)"
    HEADER = "header", "X-Webhook-Secret (header)"


class IntakeSource(models.Model):
    """Takes leads from anyone who has its address. Only a hash of the address's token is stored."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    name = models.CharField(max_length=80)
    # 256 random bits can't be guessed, so no slow hash is needed.
    token_sha256 = models.CharField(max_length=64, unique=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name="owner of new leads",
    )
    shares_without_consent = models.BooleanField(
        "share new leads with ad platforms if the form doesn't ask",
        default=False,
        help_text="If off, only leads whose form says yes to sharing are reported to LinkedIn. "
        "Leave it off if the form has a checkbox: browsers send nothing for an empty one.",
    )
    thanks_url = models.CharField(
        "page after sending",
        max_length=500,
        blank=True,
        db_default="",
        validators=[URLValidator(["https", "http"])],
    )
    # Empty: anyone who has the address can add leads.
    signed_by = models.CharField(
        "signature",
        max_length=10,
        choices=SignatureKind.choices,
        blank=True,
        db_default="",
    )
    sealed_secret = models.TextField(blank=True, db_default="", editable=False)
    # Requests with a wrong signature, of which nothing is kept.
    unsigned_count = models.PositiveIntegerField(db_default=0, editable=False)
    unsigned_at = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[IntakeSourceQuerySet] = IntakeSourceQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["name", "pk"]
        indexes = [
            models.Index(fields=["company", "name", "id"], name="source_by_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def secret(self) -> str:
        """What the sender signs with. Raises `crypto.Unreadable`."""
        return unseal_for(self.company_id, self.sealed_secret)

    @secret.setter
    def secret(self, text: str) -> None:
        self.sealed_secret = seal_for(self.company_id, text) if text else ""


class PayloadOutcome(models.TextChoices):
    """What a payload has led to."""

    ADDED = "added", "Lead added"
    UPDATED = "updated", "Lead updated"
    REPEATED = "repeated", "Sent before"
    SPAM = "spam", "Spam"
    REFUSED = "refused", "Refused"


class RefusalReason(models.TextChoices):
    """Why no lead was made of a payload."""

    UNREADABLE = "unreadable", "This is neither JSON nor a form."
    NOT_AN_OBJECT = "not_an_object", "The JSON is not an object."
    TOO_COMPLEX = "too_complex", "It has too many fields, or too many levels."
    NO_CONTACT = "no_contact", "There is no valid e-mail address or phone number."


class PayloadQuerySet(CompanyQuerySet["Payload"]):
    def waiting(self) -> "PayloadQuerySet":
        """Those whose turn it is to become a lead, in the order in which they came."""
        return self.filter(ended_at=None, try_after__lte=Now()).order_by("pk")


class Payload(models.Model):
    """What a source has sent, exactly as it came, and what it led to."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    source = models.ForeignKey(
        IntakeSource, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    received_at = models.DateTimeField(db_default=Now())
    content_type = models.CharField(max_length=200, blank=True)
    # A hash of the sender's id for it and the body: two with the same are the same.
    key = models.CharField(max_length=64)
    body = models.BinaryField()
    outcome = models.CharField(
        max_length=10, choices=PayloadOutcome.choices, blank=True
    )
    reason = models.CharField(max_length=20, choices=RefusalReason.choices, blank=True)
    # The lead that it was about. Without its lead, no payload is kept.
    made = models.ForeignKey(
        Lead, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    # Later than it came if reading it has failed, so that it keeps no other waiting.
    try_after = models.DateTimeField(db_default=Now())
    # Null until a worker has read it.
    ended_at = models.DateTimeField(null=True)

    objects: ClassVar[PayloadQuerySet] = PayloadQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(
                fields=["company", "id"],
                name="payloads_waiting",
                condition=Q(ended_at=None),
            ),
            models.Index(
                fields=["source", "key", "received_at"], name="payload_by_key"
            ),
            models.Index(fields=["made"], name="payload_by_lead"),
            models.Index(fields=["ended_at"], name="payload_by_end"),
            models.Index(fields=["company"], name="payload_by_company"),
        ]

    def __str__(self) -> str:
        return f"Payload {self.pk}"
