"""Forms that were submitted after their session had ended, until the same user signs in again."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.tenancy import CompanyQuerySet


class TypedForm(models.Model):
    """What a member had typed, without secrets: `sealed` has the form's address and its values, encrypted.

    A row, not part of the session, which has its `key`: an erasure in the company deletes it.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(max_length=32, unique=True)
    sealed = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CompanyQuerySet["TypedForm"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Form #{self.pk}"
