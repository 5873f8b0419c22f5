"""Calendar feeds: a member's open tasks for their calendar program, which can't sign in."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.people import User, sha256
from crm.models.tenancy import CompanyQuerySet


class CalendarFeedQuerySet(CompanyQuerySet["CalendarFeed"]):
    def find(self, token: str) -> "CalendarFeed | None":
        """The feed with this token, or None."""
        return (
            self.filter(token_sha256=sha256(token))
            .select_related("company", "user")
            .first()
        )


class CalendarFeed(models.Model):
    """Shows a member's open tasks to anyone who has its link. Only a hash of the link's token is stored."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    # 256 random bits can't be guessed, so no slow hash is needed.
    token_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CalendarFeedQuerySet] = CalendarFeedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["company", "user"], name="one_calendar_per_member"
            )
        ]

    def __str__(self) -> str:
        return f"Calendar feed {self.pk}"
