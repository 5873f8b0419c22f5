"""Records of submitted forms and requests: a repeat adds nothing."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.tenancy import CompanyQuerySet


class IdempotencyRecord(models.Model):
    """The hash of a submitted form or request, and the kind and id of the row that it added."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    sha256 = models.CharField(max_length=64)
    # Its model's name; "" in older records.
    made_kind = models.CharField(max_length=20, blank=True, db_default="")
    # Null only inside the transaction that adds the row.
    made_id = models.BigIntegerField(null=True)
    posted_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CompanyQuerySet["IdempotencyRecord"]] = (
        CompanyQuerySet.as_manager()  # type: ignore[assignment]
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "sha256"], name="posted_once")
        ]

    def __str__(self) -> str:
        return f"Form #{self.pk}"
