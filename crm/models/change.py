"""The history of leads and deals: who changed which field, when, from what and to what."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm.models.company import Company
from crm.models.tenancy import CompanyQuerySet


class ChangedField(models.TextChoices):
    """The fields whose changes are recorded. For an address, only the fact that it changed is recorded."""

    STATUS = "status", "Status"
    STAGE = "stage", "Stage"
    OWNER = "owner", "Owner"
    AMOUNT = "amount", "Amount"
    EMAIL = "email", "E-mail address"
    SHARING = "sharing", "Sharing with ad platforms"
    LEAD = "lead", "Lead"
    LOST_REASON = "reason", "Lost reason"
    MERGE = "merge", "Merge"
    PERSON = "person", "Person"


STEPS = (ChangedField.STATUS, ChangedField.STAGE)
OF_PEOPLE = (ChangedField.LEAD, ChangedField.PERSON)  # of a deal


def delete_unless_of_deal(
    collector: Any, field: Any, rows: QuerySet[Any], using: str
) -> None:
    """Delete a lead's own rows with it, but keep those of a deal that has been moved to another lead."""
    models.CASCADE(collector, field, rows.filter(deal=None), using)
    models.SET_NULL(collector, field, rows.exclude(deal=None), using)


class Change(models.Model):
    """A change of one field of a lead or deal.

    `old` and `new` are the key of a status, stage, user, lead or lost reason, or an amount with its currency, or "on"
    and "off". For a merge they are the lead that is gone and the one that was kept. For a further person of a deal, who
    is the `lead` of the change, `new` has their key if they were added, `old` if they were removed.
    `lead` is null in the change of a deal whose lead at that time has been deleted.
    Written only by `crm.models.tracking.recorder`, in the transaction of the change.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lead = models.ForeignKey(
        "crm.Lead", null=True, on_delete=delete_unless_of_deal, related_name="changes"
    )
    deal = models.ForeignKey(
        "crm.Deal",
        null=True,
        on_delete=models.CASCADE,
        related_name="changes",
        db_index=False,
    )
    field = models.CharField(max_length=10, choices=ChangedField.choices)
    old = models.CharField(max_length=40, blank=True)
    new = models.CharField(max_length=40, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    api_key = models.ForeignKey(
        "crm.ApiKey",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    action = models.UUIDField(null=True)  # of the request, if it can be undone
    is_undo = models.BooleanField(default=False)
    # The `public_id` of the CRM event that this change caused.
    caused = models.UUIDField(null=True)
    changed_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CompanyQuerySet["Change"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-changed_at", "-pk"]
        indexes = [
            models.Index(
                fields=["company", "-changed_at", "-id"], name="changes_of_company"
            ),
            # My day reads what has changed since yesterday. Changes are written in order of time, so a few pages of a
            # BRIN index find them. An ordinary index would make each save of a lead slower.
            BrinIndex(
                fields=["changed_at"], name="changes_by_time", autosummarize=True
            ),
            models.Index(
                fields=["deal"], name="changes_of_deal", condition=Q(deal__isnull=False)
            ),
            # For the deals that may name someone who is to be erased (`crm.selectors.deal_people`).
            models.Index(
                fields=["company", "old"],
                name="former_people_of_deals",
                condition=Q(field__in=OF_PEOPLE, deal__isnull=False),
            ),
            models.Index(
                fields=["action"],
                name="changes_by_action",
                condition=Q(action__isnull=False),
            ),
            models.Index(
                fields=["api_key"],
                name="changes_by_api_key",
                condition=Q(api_key__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_field_display()} #{self.pk}"
