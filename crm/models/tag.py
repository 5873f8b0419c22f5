"""Which leads and deals have which tags."""

from collections.abc import Iterable
from typing import ClassVar, Self

from django.db import models

from crm.models.company import Company
from crm.models.deal import Deal
from crm.models.lead import Lead
from crm.models.picklist import Tag
from crm.models.tenancy import CompanyQuerySet


class LeadTag(models.Model):
    """A tag that a lead has."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    tag = models.ForeignKey(
        Tag, on_delete=models.CASCADE, related_name="+", db_index=False
    )

    objects: ClassVar[CompanyQuerySet[Self]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lead", "tag"], name="lead_has_tag_once")
        ]
        indexes = [models.Index(fields=["tag", "lead"], name="leads_by_tag")]

    def __str__(self) -> str:
        return f"Tag of lead {self.lead_id}"


class DealTag(models.Model):
    """A tag that a deal has."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    deal = models.ForeignKey(
        Deal, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    tag = models.ForeignKey(
        Tag, on_delete=models.CASCADE, related_name="+", db_index=False
    )

    objects: ClassVar[CompanyQuerySet[Self]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deal", "tag"], name="deal_has_tag_once")
        ]
        indexes = [models.Index(fields=["tag", "deal"], name="deals_by_tag")]

    def __str__(self) -> str:
        return f"Tag of deal {self.deal_id}"


def add_links(
    model: type[Lead] | type[Deal], company_id: int, pairs: Iterable[tuple[int, Tag]]
) -> None:
    """Tag leads or deals. `pairs` are their keys, each with a tag. A tag that one already has is left as it is."""
    if model is Lead:
        leads = [
            LeadTag(company_id=company_id, lead_id=pk, tag=tag) for pk, tag in pairs
        ]
        LeadTag.objects.bulk_create(leads, ignore_conflicts=True)
    else:
        deals = [
            DealTag(company_id=company_id, deal_id=pk, tag=tag) for pk, tag in pairs
        ]
        DealTag.objects.bulk_create(deals, ignore_conflicts=True)
