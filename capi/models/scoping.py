"""Rows that belong to a company."""

from typing import Any, Self, TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model, covariant=True)


class CompanyQuerySet(models.QuerySet[M]):
    """Rows that belong to a company; capi's pipeline does not know crm, hence its own."""

    def for_company(self, company: Any) -> Self:
        """Only the rows of this company (or company id)."""
        return self.filter(company=company)
