"""Bulk changes: one change of all leads that matched a list, made in the background and kept for a month.

Each lead is changed as if someone had changed only that one (`crm.services.lead_changes`).
"""

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from crm.models.job import AT_WORK, Job, JobQuerySet, JobState
from crm.models.key_selection import KeySelection, packed_keys
from crm.models.people import User
from crm.models.picklist import Tag
from crm.models.roles import Action
from crm.models.steps import LeadStatus
from crm.models.tenancy import CompanyQuerySet

KEPT_FOR: Final = timedelta(days=30)  # after its end
NOBODY: Final = 0  # a lead that was erased: no lead has this id


class BulkKind(models.TextChoices):
    """What is done to each lead."""

    STATUS = "status", "Set the status"
    OWNER = "owner", "Set the owner"
    ADD_TAG = "add_tag", "Add a tag"
    REMOVE_TAG = "remove_tag", "Remove a tag"
    DELETE = "delete", "Delete"

    @property
    def needs(self) -> Action:
        """The permission that it needs."""
        return Action.DELETE_LEADS if self == BulkKind.DELETE else Action.EDIT_LEADS


@dataclass(frozen=True, slots=True)
class LeadChange:
    """What is done to each lead. `target` is the new status or owner, or the tag; None for no owner, and to delete."""

    kind: BulkKind
    target: LeadStatus | User | Tag | None = None


class LeadResult(models.TextChoices):
    """The outcome of the change for a lead."""

    CHANGED = "changed", "Changed"
    UNCHANGED = "unchanged", "No change needed"
    SINCE = "since", "Changed by someone since"
    GONE = "gone", "No longer exists"
    REFUSED = "refused", "Failed"
    UNMATCHED = "unmatched", "No longer matched when it began"


class BulkChange(Job):
    """A change of many leads that someone requested, and how far the work on it has got.

    `target` is the key of the new status or owner, or of the tag. It is not a foreign key: the row may be deleted, and
    “no owner” is not the same as an owner who is gone. `done` counts the leads that were reached by `LeadResult`, and
    `refusals` by reason. Leads that were confirmed but left out at the start, because they had been changed or no
    longer matched, are counted only in `done`.
    """

    kind = models.CharField(max_length=10, choices=BulkKind.choices)
    target = models.BigIntegerField(null=True)
    done = models.JSONField(default=dict)
    refusals = models.JSONField(default=dict)
    # When the member was asked to confirm it: leads that were changed later are left alone.
    asked_at = models.DateTimeField(db_default=Now())
    # Confirmed, less those of the leads done.
    conversions = models.PositiveIntegerField(default=0, db_default=0)
    rules = models.JSONField(default=list)  # the ids of the rules that may send them

    objects: ClassVar[JobQuerySet["BulkChange"]] = JobQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "id"], name="bulk_change_of_company"
            ),
            models.UniqueConstraint(
                fields=["company"],
                condition=Q(state=JobState.RUNNING),
                name="one_bulk_change_at_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state"],
                name="bulk_changes_at_work",
                condition=Q(state__in=AT_WORK),
            ),
            models.Index(
                fields=["api_key"],
                name="bulk_changes_by_api_key",
                condition=Q(api_key__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Bulk change {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("bulk_change", args=[self.pk])

    @classmethod
    def clear(cls, pks: Sequence[int], state: str) -> None:
        BulkSelection.objects.filter(bulk_change__in=pks).delete()

    @property
    def title(self) -> str:
        return self.get_kind_display()

    @property
    def needs(self) -> Action:
        return BulkKind(self.kind).needs


class BulkSelectionQuerySet(CompanyQuerySet["BulkSelection"]):
    def forget(self, leads: Collection[int]) -> None:
        """Replace these leads with NOBODY. The other ids keep their positions, and the work continues where it is."""
        for selection in self:
            keys = selection.read()
            if not set(leads).isdisjoint(keys):
                kept = array("q", (NOBODY if key in leads else key for key in keys))
                self.filter(pk=selection.pk).update(keys=packed_keys(kept)[0])


class BulkSelection(KeySelection):
    """The ids of the leads that are changed. It is deleted once the change has ended."""

    bulk_change = models.OneToOneField(
        BulkChange, on_delete=models.CASCADE, related_name="selection"
    )

    objects: ClassVar[BulkSelectionQuerySet] = BulkSelectionQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Selection of bulk change {self.bulk_change_id}"
