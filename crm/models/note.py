"""Notes on leads and deals: what a member has written down, and the calls that they have made."""

from datetime import datetime, timedelta
from typing import ClassVar, Final, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from crm.models.contribution import ON_SOMETHING, Contribution
from crm.models.tenancy import CompanyQuerySet

EDITABLE_FOR: Final = timedelta(hours=1)
LONGEST_TEXT: Final = 10_000  # characters


class NoteKind(models.TextChoices):
    """What was done: something was written down, or someone was called."""

    NOTE = "note", "Note"
    CALL = "call", "Call"


class NoteQuerySet(CompanyQuerySet["Note"]):
    def recent(self) -> Self:
        """Notes that their authors can still edit."""
        return self.filter(created_at__gt=Now() - EDITABLE_FOR)


class Note(Contribution):
    """A text in the history of a lead, or of a deal and its lead. Written only by `crm.services.notes`."""

    kind = models.CharField(
        max_length=10,
        choices=NoteKind.choices,
        default=NoteKind.NOTE,
        db_default=NoteKind.NOTE,
    )
    text = models.TextField(max_length=LONGEST_TEXT)
    edited_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[NoteQuerySet] = NoteQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(
                fields=["lead", "-created_at"],
                name="notes_of_lead",
                condition=Q(lead__isnull=False),
            ),
            models.Index(
                fields=["deal", "-created_at"],
                name="notes_of_deal",
                condition=Q(deal__isnull=False),
            ),
            models.Index(
                fields=["api_key"],
                name="notes_by_api_key",
                condition=Q(api_key__isnull=False),
            ),
        ]
        constraints = [
            # For the order of the API's list.
            models.UniqueConstraint(fields=["company", "id"], name="note_of_company"),
            models.CheckConstraint(condition=ON_SOMETHING, name="note_on_something"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()

    @property
    def updated_at(self) -> datetime:
        """When it was last written."""
        return self.edited_at or self.created_at

    @property
    def is_recent(self) -> bool:
        """True while its author can edit it."""
        return timezone.now() - self.created_at < EDITABLE_FOR
