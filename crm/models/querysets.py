"""The one way in to a company's rows: `Model.objects.for_company(company)`."""

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from crm.models.company import Company

M = TypeVar("M", bound=models.Model, covariant=True)


class CompanyQuerySet(models.QuerySet[M]):
    """Rows that belong to a company."""

    def for_company(self, company: "Company | int") -> Self:
        """Only the rows of this company (or company id)."""
        return self.filter(company=company)
