"""Invitations to join a company, sent by e-mail."""

import secrets
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone

from crm.models.company import Company
from crm.models.people import User, sha256
from crm.models.roles import Role
from crm.models.tenancy import CompanyQuerySet

GOOD_FOR: Final = timedelta(days=7)


class InvitationQuerySet(CompanyQuerySet["Invitation"]):
    def open(self) -> "InvitationQuerySet":
        """Neither accepted nor revoked. The last e-mail may have expired."""
        return self.filter(accepted_at=None, revoked_at=None)

    def find(self, token: str) -> "Invitation | None":
        """The open invitation whose last e-mail has this token and has not expired, or None."""
        valid = self.open().filter(token_sha256=sha256(token), sent_at__gt=Now() - GOOD_FOR)
        return valid.select_related("company", "invited_by").first()


class Invitation(models.Model):
    """Lets the recipient join the company in this role, once, within a week of the last e-mail."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices)
    token_sha256 = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    sent_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[InvitationQuerySet] = InvitationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                "company",
                Lower("email"),
                name="one_open_invitation_per_address",
                condition=models.Q(accepted_at=None, revoked_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.company} ({self.get_role_display()})"

    @property
    def has_run_out(self) -> bool:
        """True if the last e-mail has expired."""
        return timezone.now() - self.sent_at > GOOD_FOR

    def new_token(self) -> str:
        """Set and return a token for the next e-mail. It replaces the previous one on save; only its hash is stored."""
        token = secrets.token_urlsafe(32)
        self.token_sha256 = sha256(token)
        return token
