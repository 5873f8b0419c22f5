"""What the API asks of every queryset, crm's and capi's alike."""

from typing import Any, Protocol

from django.db.models import QuerySet

from crm.models import Company


class ByCompany(Protocol):
    """Rows that can be narrowed to one company's."""

    def for_company(self, company: Company) -> QuerySet[Any]: ...
