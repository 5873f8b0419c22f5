"""What members and API keys add to a lead or a deal, besides its fields: notes and files."""

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.api_key import ApiKey
from crm.models.change import delete_unless_of_deal
from crm.models.company import Company
from crm.models.deal import Deal
from crm.models.lead import Lead
from crm.models.people import Membership, User

Author = Membership | ApiKey
ON_SOMETHING: Final = Q(lead__isnull=False) | Q(deal__isnull=False)


def active_author(
    *, company_id: int, user_id: int | None, api_key_id: int | None
) -> Author | None:
    """The person or key that requested something, if they still have access to the company.

    None if they were deactivated, revoked or deleted, or the company was switched off.
    """
    if api_key_id is not None:
        return ApiKey.objects.active().filter(pk=api_key_id).first()
    return (
        Membership.objects.for_company(company_id)
        .active()
        .of_open_companies()
        .filter(user=user_id)
        .first()
    )


class Contribution(models.Model):
    """Something on a lead, or on a deal and its lead.

    `actor` or `api_key` added it. `lead` is the lead that the deal had at the time, null if the deal has since been
    moved to another lead and the former one deleted.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lead = models.ForeignKey(
        Lead,
        null=True,
        on_delete=delete_unless_of_deal,
        related_name="+",
        db_index=False,
    )
    deal = models.ForeignKey(
        Deal, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    @property
    def subject(self) -> Lead | Deal:
        """The deal that it is on, or else the lead."""
        subject = self.deal or self.lead
        assert subject is not None
        return subject

    @property
    def author(self) -> User | ApiKey | None:
        """The person or key that added it; None once they are gone."""
        return self.actor or self.api_key

    def is_by(self, author: Author) -> bool:
        """True if this member or API key added it."""
        if isinstance(author, Membership):
            return self.actor_id == author.user_id
        return self.api_key_id == author.pk

    def sign(self, author: Author) -> None:
        """Record who adds it."""
        if isinstance(author, Membership):
            self.actor = author.user
        else:
            self.api_key = author
