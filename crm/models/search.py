"""What somebody searched for among the leads: often a name or an address."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.querysets import CompanyQuerySet


class LeadSearch(models.Model):
    """One search of one member. The addresses of pages hold its `key` in the place of what was typed.

    A row, and no part of a session: a request that read its session before an erasure would write all of it back.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=20, unique=True)
    text = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CompanyQuerySet["LeadSearch"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "lead searches"
        constraints = [models.UniqueConstraint(fields=["company", "user", "text"], name="one_search_per_text")]

    def __str__(self) -> str:
        return f"Search #{self.pk}"
