"""Files on leads, deals and notes. A row has the name and the size of a file, and where its content is stored."""

from typing import Any, ClassVar, Final, Self

from django.db import models, transaction
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.urls import reverse

from crm.models.bidi import without_bidi_controls
from crm.models.contribution import ON_SOMETHING, Contribution
from crm.models.deal import Deal
from crm.models.file_storage import discard
from crm.models.lead import Lead
from crm.models.note import Note
from crm.models.tenancy import CompanyQuerySet

MAX_BYTES: Final = 25 * 2**20
MAX_FILES: Final = 100  # on a lead or a deal: its page shows all of them
MAX_ON_NOTE: Final = 10  # a page shows the files of many notes
LONGEST_NAME: Final = 200  # characters


class AttachmentQuerySet(CompanyQuerySet["Attachment"]):
    def on(self, subject: Lead | Deal | Note) -> Self:
        """Files on this note, or on this deal or lead itself, without the files on its deals or notes."""
        rows = self.for_company(subject.company_id)
        if isinstance(subject, Note):
            return rows.filter(note=subject)
        if isinstance(subject, Deal):
            return rows.filter(note=None, deal=subject)
        return rows.filter(note=None, deal=None, lead=subject)


class Attachment(Contribution):
    """A file on a lead, or on a deal and its lead, or on a `note` about these. `stored_as` is its name on the storage.

    Written only by `crm.services.attachments`.
    """

    note = models.ForeignKey(
        Note, null=True, on_delete=models.CASCADE, related_name="files", db_index=False
    )
    name = models.CharField(max_length=LONGEST_NAME)
    size = models.PositiveIntegerField()  # in bytes
    stored_as = models.CharField(max_length=100, unique=True, editable=False)

    objects: ClassVar[AttachmentQuerySet] = AttachmentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "file"
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["lead", "-id"],
                name="files_of_lead",
                condition=Q(lead__isnull=False),
            ),
            models.Index(
                fields=["deal", "-id"],
                name="files_of_deal",
                condition=Q(deal__isnull=False),
            ),
            models.Index(
                fields=["note"], name="files_of_note", condition=Q(note__isnull=False)
            ),
            models.Index(
                fields=["api_key"],
                name="files_by_api_key",
                condition=Q(api_key__isnull=False),
            ),
        ]
        constraints = [
            # For the order of the API's list, and for what a company has stored.
            models.UniqueConstraint(fields=["company", "id"], name="file_of_company"),
            models.CheckConstraint(condition=ON_SOMETHING, name="file_on_something"),
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    def get_absolute_url(self) -> str:
        """The address from which a member downloads it."""
        return reverse("file_download", args=[self.pk])


@receiver(post_delete, sender=Attachment)
def delete_content(instance: Attachment, using: str, **kwargs: Any) -> None:
    """Delete the content with its row, whether a person, an erasure or deleting a lead or deal deletes the row.

    Runs after the commit: no row is left without its file. The sweep deletes content that a crash in between leaves.
    """
    transaction.on_commit(lambda: discard(instance.stored_as), using=using, robust=True)
