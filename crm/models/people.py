"""Users, their memberships in companies, and invitations to join one."""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, Self

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from crm.models.addresses import AccountAddressField, account_address, find_address
from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.roles import Action, Role, may
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import validate_name, validate_time_zone

INVITATION_GOOD_FOR: Final = timedelta(days=7)
USERNAME_LENGTH: Final = 150  # of Django's AbstractUser
INVITATION_PAUSE: Final = timedelta(minutes=10)  # between two mails to the same person


class DateStyle(models.TextChoices):
    """How dates and times are written."""

    NAMED = "named", "24 Nov 2026, 15:00"
    SLASHES = "slashes", "24/11/2026, 15:00"
    DOTS = "dots", "24.11.2026, 15:00"
    US = "us", "Nov 24, 2026, 3:00 PM"
    ISO = "iso", "2026-11-24, 15:00"


class UserManager(DjangoUserManager["User"]):
    def with_address(self, text: str) -> "User | None":
        """The user with this address, however it is spelled, or None."""
        address = find_address(text)
        return self.filter(email=address).exclude(email="").first()


class User(AbstractUser):
    """A person who signs in with their e-mail address, which is also their `username` where that is possible."""

    first_name = models.CharField(
        "first name", max_length=150, blank=True, validators=[validate_name]
    )
    last_name = models.CharField(
        "last name", max_length=150, blank=True, validators=[validate_name]
    )
    email = AccountAddressField("email address", blank=True)
    date_style = models.CharField(
        max_length=10,
        choices=DateStyle.choices,
        default=DateStyle.NAMED,
        db_default=DateStyle.NAMED,
    )
    # "": the company's
    time_zone = models.CharField(
        max_length=60, blank=True, db_default="", validators=[validate_time_zone]
    )

    objects: ClassVar[UserManager] = UserManager()

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["email"],
                name="one_user_per_address",
                condition=~models.Q(email=""),
                violation_error_message="Another user has this e-mail address.",
            )
        ]

    def __str__(self) -> str:
        return (
            without_bidi_controls(self.get_full_name()) or self.email or self.username
        )

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = account_address(self.email) if self.email else ""
        self.username = self.username or free_username(self.email)
        super().save(*args, **kwargs)


def free_username(email: str) -> str:
    """The address, unless it is too long for a username or already another user's; then a random one.

    An address may have 254 characters, and two may begin with the same 150.
    """
    fits = (
        0 < len(email) <= USERNAME_LENGTH
        and not User.objects.filter(username=email).exists()
    )
    return email if fits else f"user-{uuid.uuid4().hex}"


class MembershipQuerySet(CompanyQuerySet["Membership"]):
    def active(self) -> Self:
        """Memberships with access: both they and their users are active."""
        return self.filter(is_active=True, user__is_active=True)

    def of_open_companies(self) -> Self:
        """Memberships in companies that the operator has not deactivated."""
        return self.filter(company__is_active=True)

    def open_to(self, provider: str) -> Self:
        """Memberships that a session may use. `provider` is the code of the provider that made it; "" if none did.

        A company's provider vouches for people in that company alone. A company that requires its provider lets only
        admins in without it: they can still get in if the provider fails.
        """
        if provider:
            return self.filter(company__sign_in_provider__code=provider)
        return self.exclude(
            ~models.Q(role=Role.ADMIN), company__sign_in_provider__is_required=True
        )

    def user_ids_by_name(self) -> QuerySet["Membership", int]:
        """The ids of the users, by their names."""
        return self.order_by("user__first_name", "user__last_name", "user").values_list(
            "user_id", flat=True
        )


class Membership(models.Model):
    """A user in a company. The role decides what they may do there; if deactivated, nothing."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    is_active = models.BooleanField(default=True)
    # Column in the lists of leads and deals.
    shows_outcomes = models.BooleanField(default=False, editable=False)
    # The keys of the columns of each list, in order, by the key of the list; [] for the usual ones.
    list_columns = models.JSONField(default=dict, db_default={}, editable=False)
    # Those of the list of leads, with a space in between. Versions before `list_columns` read and write only this.
    lead_columns = models.CharField(
        max_length=400, blank=True, default="", db_default="", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[MembershipQuerySet] = MembershipQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "user"], name="one_membership_per_company"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.company} ({self.get_role_display()})"

    def may(self, action: Action) -> bool:
        """True if this member may do `action` in this company."""
        return may(self.role, action)

    def columns_of(self, key: str) -> Sequence[str]:
        """The keys of the columns chosen for the list with this key, in order; [] for the usual ones."""
        chosen: dict[str, list[str]] = self.list_columns
        if key == "leads":
            return chosen.get(key, self.lead_columns.split())
        return chosen.get(key, [])

    def set_columns(self, key: str, columns: Sequence[str]) -> None:
        """Choose the columns of the list with this key, for the next save."""
        self.list_columns[key] = [*columns]
        if key == "leads":
            self.lead_columns = " ".join(columns)


class InvitationQuerySet(CompanyQuerySet["Invitation"]):
    def open(self) -> "InvitationQuerySet":
        """Invitations that are neither accepted nor revoked. Their last e-mail may have expired."""
        return self.filter(accepted_at=None, revoked_at=None)

    def mailed_lately(self, company: Company, email: str) -> bool:
        """True if the company has sent this person an invitation within INVITATION_PAUSE, revoked or not."""
        lately = self.filter(
            company=company, email=email, sent_at__gt=Now() - INVITATION_PAUSE
        )
        return lately.filter(accepted_at=None).exists()

    def valid(self) -> "InvitationQuerySet":
        """Open invitations whose last e-mail has not expired.

        They end once the member who sent them is deactivated, as do their API keys.
        """
        valid = self.open().filter(sent_at__gt=Now() - INVITATION_GOOD_FOR)
        return valid.exclude(invited_by__is_active=False).select_related(
            "company", "invited_by"
        )

    def find(self, token: str) -> "Invitation | None":
        """The valid invitation whose last e-mail has this token, or None."""
        return self.valid().filter(token_sha256=sha256(token)).first()


class Invitation(models.Model):
    """Lets the recipient join the company in this role, once, within a week of the last e-mail."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="invitations"
    )
    email = AccountAddressField()
    role = models.CharField(max_length=10, choices=Role.choices)
    token_sha256 = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    sent_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[InvitationQuerySet] = InvitationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "email"],
                name="one_open_invitation_per_person",
                condition=models.Q(accepted_at=None, revoked_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.company} ({self.get_role_display()})"

    @property
    def has_run_out(self) -> bool:
        """True if the last e-mail has expired."""
        return timezone.now() - self.sent_at > INVITATION_GOOD_FOR

    def new_token(self) -> str:
        """Set and return a token for the next e-mail. It replaces the previous one on save; only its hash is stored."""
        token = address_token()
        self.token_sha256 = sha256(token)
        return token


def address_token() -> str:
    """256 random bits for an address that opens something to anyone who has it.

    In hexadecimal, because the log masks a token by its digits: Base64 of the same bits has none once in 1,500 times.
    """
    return secrets.token_hex(32)


def sha256(text: str) -> str:
    """The hash of a random key: no one who reads it in the database can use it."""
    return hashlib.sha256(text.encode()).hexdigest()


def company_people(company: Company) -> QuerySet[User]:
    """The members of a company, past and present, by name."""
    return User.objects.filter(memberships__company=company).order_by(
        "first_name", "last_name", "pk"
    )
