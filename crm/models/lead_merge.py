"""Merges of two leads: what an undo needs, kept for a day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from crm.models.attachment import Attachment
from crm.models.company import Company
from crm.models.deal import Deal
from crm.models.deal_person import DealPerson
from crm.models.event import CrmEvent
from crm.models.external_id import LeadExternalId
from crm.models.lead import Lead
from crm.models.note import Note
from crm.models.tag import LeadTag
from crm.models.task import Task
from crm.models.tenancy import CompanyQuerySet

UNDO_FOR: Final = timedelta(days=1)
# The models whose rows move to the kept lead, each with its column for the lead. Deals first: their rows are locked
# before any CRM event is read.
FOLLOWING: Final[Sequence[tuple[type[models.Model], str]]] = (
    (Deal, "lead"),
    (CrmEvent, "lead"),
    (Task, "lead"),
    (Note, "lead"),
    (Attachment, "lead"),
    (LeadTag, "lead"),
    (DealPerson, "lead"),
    (LeadExternalId, "lead"),
    (Lead, "merged_into"),
)


class LeadMerge(models.Model):
    """One lead (`gone`) was merged into another (`kept`).

    `before` and `written` have the old and the new values of the kept lead's fields that the merge changed. `moved` has
    the keys of the rows that moved, by model. `dropped_tags` are the tags that both leads had, and `dropped_people` the
    places on deals that the kept lead would now have twice. `ended` is what the receivers of `leads_merged` have ended.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    kept = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="merges")
    gone = models.OneToOneField(Lead, on_delete=models.CASCADE, related_name="merge")
    before = models.JSONField(default=dict)
    written = models.JSONField(default=dict)
    moved = models.JSONField(default=dict)
    dropped_tags = models.JSONField(default=list)
    # Lists of the deal, the lead and who added it.
    dropped_people = models.JSONField(default=list, db_default=[])
    ended = models.JSONField(default=list)
    merged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    merged_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CompanyQuerySet["LeadMerge"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Merge of lead {self.gone_id} into lead {self.kept_id}"

    @property
    def undo_until(self) -> datetime:
        return self.merged_at + UNDO_FOR

    def moved_keys(self, model: type[models.Model]) -> list[int]:
        """The keys of the rows of this model that moved to the kept lead."""
        return list(self.moved.get(model._meta.label, ()))
