"""The ids that leads and deals have in other systems, such as another CRM."""

from typing import ClassVar, Final, NamedTuple, Self

from django.db import models

from crm.models.company import Company
from crm.models.deal import Deal
from crm.models.lead import Lead
from crm.models.tenancy import CompanyQuerySet

SYSTEM_LENGTH: Final = 40
ID_LENGTH: Final = 200
# The short name of a system, a colon, and the id: printable ASCII without blanks.
PATTERN: Final = rf"[a-z0-9][a-z0-9_-]{{0,{SYSTEM_LENGTH - 1}}}:[!-~]{{1,{ID_LENGTH}}}"
LONGEST: Final = SYSTEM_LENGTH + 1 + ID_LENGTH
NOT_AN_EXTERNAL_ID: Final = (
    "Enter the short name of a system, a colon and the id, such as hubspot:12345."
)


class Reference(NamedTuple):
    """An external id without its record. As a text, it is `hubspot:12345`."""

    system: str
    external_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a text that matches PATTERN."""
        system, _, external_id = text.partition(":")
        return cls(system, external_id)

    def __str__(self) -> str:
        return f"{self.system}:{self.external_id}"


class LeadExternalId(models.Model):
    """What a lead is called in another system. No two leads have the same.

    A lead can have several of one system: those of two leads that are merged stay.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.CASCADE, related_name="external_ids"
    )
    system = models.CharField(max_length=SYSTEM_LENGTH)
    external_id = models.CharField(max_length=ID_LENGTH)

    objects: ClassVar[CompanyQuerySet[Self]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "external id of a lead"
        verbose_name_plural = "external ids of leads"
        ordering = ["system", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "system", "external_id"],
                name="lead_by_external_id",
            )
        ]

    def __str__(self) -> str:
        return str(Reference(self.system, self.external_id))


class DealExternalId(models.Model):
    """What a deal is called in another system. No two deals have the same.

    A deal can have several of one system.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    deal = models.ForeignKey(
        Deal, on_delete=models.CASCADE, related_name="external_ids"
    )
    system = models.CharField(max_length=SYSTEM_LENGTH)
    external_id = models.CharField(max_length=ID_LENGTH)

    objects: ClassVar[CompanyQuerySet[Self]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "external id of a deal"
        verbose_name_plural = "external ids of deals"
        ordering = ["system", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "system", "external_id"],
                name="deal_by_external_id",
            )
        ]

    def __str__(self) -> str:
        return str(Reference(self.system, self.external_id))
