"""The further people of a deal: leads who have a say in it, besides the lead that its conversions are about."""

from collections.abc import Sequence
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.deal import Deal, DealQuerySet
from crm.models.lead import Lead
from crm.models.tenancy import CompanyQuerySet


class DealPersonQuerySet(CompanyQuerySet["DealPerson"]):
    def further(self) -> Self:
        """Exclude the deal's main person, whom a script that doesn't know this table may have left in it."""
        return self.exclude(deal__lead=F("lead"))


class DealPerson(models.Model):
    """A further person of a deal. The main one is the deal's `lead`.

    Written only by `crm.services.deal_people`, and by merges. Both keep the main person out.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    deal = models.ForeignKey(
        Deal, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[DealPersonQuerySet] = DealPersonQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "person of a deal"
        verbose_name_plural = "people of deals"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["deal", "lead"], name="deal_has_person_once"
            ),
            models.UniqueConstraint(
                fields=["company", "id"], name="deal_person_of_company"
            ),
        ]
        indexes = [models.Index(fields=["lead", "deal"], name="deals_by_person")]

    def __str__(self) -> str:
        return f"Lead {self.lead_id} of deal {self.deal_id}"


def deals_with(company: Company, leads: QuerySet[Lead] | Sequence[int]) -> DealQuerySet:
    """The company's deals that have one of these leads as their lead or among their further people.

    A UNION of two queries: with OR, PostgreSQL reads every deal to find out whose it is.
    """
    own = Deal.objects.for_company(company).order_by()
    links = DealPerson.objects.for_company(company).order_by().filter(lead__in=leads)
    return own.filter(
        pk__in=own.filter(lead__in=leads)
        .values("pk")
        .union(links.values("deal"), all=True)
    )
