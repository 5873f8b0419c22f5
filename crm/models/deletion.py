"""What programs that keep a copy have to delete: leads, deals and tasks that are gone, by number only."""

from datetime import timedelta
from typing import ClassVar, Final

from django.db import models

from crm.models.company import Company
from crm.models.tenancy import CompanyQuerySet

KEPT_FOR: Final = timedelta(days=90)


class DeletedKind(models.TextChoices):
    """What was deleted, in the words of the API."""

    LEAD = "lead", "Lead"
    DEAL = "deal", "Deal"
    TASK = "task", "Task"


class Deletion(models.Model):
    """A lead, deal or task that is gone. Written by the triggers of `deletion_sql` alone.

    A lead that was merged into another one or erased is gone, too: its row stays, but nothing lists it.
    """

    # Rows that are written while a company is being deleted go with it: `COMPANY_KEY` in `deletion_sql`.
    company = models.ForeignKey(
        Company,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    object = models.CharField(max_length=10, choices=DeletedKind.choices)
    object_id = models.BigIntegerField()
    deleted_at = models.DateTimeField()
    # The lead that a lead was merged into. No foreign key: that one may be gone by now.
    merged_into = models.BigIntegerField(null=True)

    objects: ClassVar[CompanyQuerySet["Deletion"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["company", "deleted_at"], name="deletions_by_time")
        ]

    def __str__(self) -> str:
        return f"Deletion of {self.object} {self.object_id}"
