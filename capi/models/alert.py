"""Alerts, who gets mail about them, and each mail to send."""

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from capi.models.choices import AlertKind, AlertResolution, MailKind
from capi.models.rule import ConversionRule
from crm.models.mail import OutgoingMail
from crm.models.tenancy import CompanyQuerySet


class AlertQuerySet(CompanyQuerySet["Alert"]):
    def still_open(self) -> Self:
        """Alerts that are not over."""
        return self.filter(closed_at=None)


class Alert(models.Model):
    """A condition that someone should know about, from the evaluation that found it to the one that found it gone.

    `marker` distinguishes episodes of the same kind (when the pause began, which version, which date), and `stage` is
    the days left before a deadline. A database constraint allows one open alert for each kind and rule.
    """

    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, related_name="alerts", db_index=False
    )
    kind = models.CharField(max_length=20, choices=AlertKind.choices)
    rule = models.ForeignKey(
        ConversionRule,
        null=True,
        on_delete=models.CASCADE,
        related_name="alerts",
        db_index=False,
    )
    marker = models.CharField(max_length=40, blank=True)
    stage = models.PositiveSmallIntegerField(default=0)
    # For the pause, one of capi.models.choices.Reason.
    reason = models.CharField(max_length=30, blank=True)
    # Numbers and dates for the text, as of the opening.
    facts = models.JSONField(default=dict)
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True)
    ending = models.CharField(
        max_length=10, choices=AlertResolution.choices, blank=True
    )

    objects: ClassVar[AlertQuerySet] = AlertQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "kind"],
                condition=Q(closed_at=None, rule=None),
                name="one_open_alert_per_kind",
            ),
            models.UniqueConstraint(
                fields=["company", "kind", "rule"],
                condition=Q(closed_at=None, rule__isnull=False),
                name="one_open_alert_per_kind_and_rule",
            ),
        ]
        indexes = [models.Index(fields=["company", "-id"], name="alerts_newest_first")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


class MailChoice(models.Model):
    """The mails that a person has chosen to get. Without a row the role decides: `capi.alerts.notifications`."""

    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    alerts = models.BooleanField()
    weekly = models.BooleanField()

    objects: ClassVar[CompanyQuerySet["MailChoice"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["company", "user"], name="one_mail_choice_per_member"
            )
        ]

    def __str__(self) -> str:
        return f"User {self.user_id} at company {self.company_id}"


class Mail(OutgoingMail):
    """One mail to one person about a company's connection."""

    company = models.ForeignKey(
        "crm.Company", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    news = models.CharField(max_length=10, choices=MailKind.choices)
    alert = models.ForeignKey(
        Alert, null=True, on_delete=models.CASCADE, related_name="mails"
    )
    week = models.DateField(null=True)  # the Monday of a weekly mail
    sent_at = models.DateTimeField(null=True)

    objects: ClassVar[CompanyQuerySet["Mail"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "news", "user"],
                condition=Q(alert__isnull=False),
                name="one_mail_per_news_and_person",
            ),
            models.UniqueConstraint(
                fields=["company", "week", "user"],
                condition=Q(week__isnull=False),
                name="one_mail_per_week_and_person",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], name="mails_due", condition=Q(due_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"Mail {self.pk} of company {self.company_id}"

    def settle(self, *, is_sent: bool) -> None:
        type(self).objects.filter(pk=self.pk).update(
            due_at=None, sent_at=Now() if is_sent else None
        )
