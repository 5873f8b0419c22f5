"""Exports: files of a list or of a whole company, written in the background and kept for a day.

A file is stored here in compressed parts: web servers and workers may be on different machines, and an erasure has to
reach it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final, Self
from zlib import compress, decompress

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.timezone import localdate

from crm.models.api_key import ApiKey
from crm.models.company import Company
from crm.models.contribution import Author
from crm.models.job import AT_WORK, Job, JobQuerySet, JobState
from crm.models.key_selection import KeySelection
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet

KEPT_FOR: Final = timedelta(days=1)  # after its end
# The kind of an export that is no list (`crm.lists.registry`).
WHOLE_COMPANY: Final = "company"


class ExportFormat(models.TextChoices):
    """The format of the file. A whole company is a ZIP archive of CSV files."""

    CSV = "csv", "CSV"
    XLSX = "xlsx", "XLSX"
    ZIP = "zip", "ZIP"


class DataExportQuerySet(JobQuerySet["DataExport"]):
    def packing(self) -> Self:
        """Exports whose rows are complete, and are to be packed into a spreadsheet."""
        return self.at_work().filter(
            format=ExportFormat.XLSX, reached__gte=F("row_count")
        )

    def kept(self) -> Self:
        return self.filter(Q(finished_at=None) | Q(finished_at__gt=Now() - KEPT_FOR))

    def open_to(self, author: Author) -> Self:
        """Those of `JobQuerySet`; whole companies for one who manages it only."""
        own = super().open_to(author)
        if author.may(Action.MANAGE_COMPANY):
            return own
        return own.exclude(kind=WHOLE_COMPANY)


class DataExport(Job):
    """A file that `made_by` or `api_key` requested, and how far the work on it has got.

    `columns` are the column keys of the current file, the same for all of its rows. A worker continues after the row
    with the id `after` in the file with the index `file`: both are 0 except in an archive. `restarts` counts restarts
    of the work: what was started earlier can't end it.
    """

    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=20)  # WHOLE_COMPANY, or the key of a list
    format = models.CharField(max_length=4, choices=ExportFormat.choices)
    columns = models.JSONField(default=list)
    file = models.PositiveSmallIntegerField(default=0, db_default=0)
    after = models.BigIntegerField(default=0, db_default=0)
    # In bytes; for an archive, of the files in it.
    size = models.PositiveBigIntegerField(default=0, db_default=0)
    # Bytes, of its parts and its selection.
    stored = models.PositiveBigIntegerField(default=0, db_default=0)
    restarts = models.PositiveIntegerField(default=0, db_default=0)
    # The lease of the worker that packs it.
    packed_until = models.DateTimeField(null=True)

    objects: ClassVar[DataExportQuerySet] = DataExportQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "id"], name="data_export_of_company"
            ),
            models.CheckConstraint(
                condition=Q(made_by=None, api_key__isnull=False)
                | Q(made_by__isnull=False, api_key=None),
                name="data_export_by_person_or_key",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state"], name="exports_at_work", condition=Q(state__in=AT_WORK)
            ),
            models.Index(
                fields=["api_key"],
                name="exports_by_api_key",
                condition=Q(api_key__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Export {self.pk}"

    def get_absolute_url(self) -> str:
        return f"{reverse('data_exports')}?made={self.pk}"

    @classmethod
    def clear(cls, pks: Sequence[int], state: str) -> None:
        if state != JobState.DONE:
            ExportPart.objects.filter(data_export__in=pks).delete()

    @property
    def title(self) -> str:
        return f"{self.what}, {self.get_format_display()}"

    @property
    def needs(self) -> Action:
        """The permission needed to make it and to download it."""
        return (
            Action.MANAGE_COMPANY if self.kind == WHOLE_COMPANY else Action.EXPORT_LEADS
        )

    @property
    def what(self) -> str:
        """What it has, in words."""
        return "Whole company" if self.kind == WHOLE_COMPANY else self.kind.capitalize()

    @property
    def is_ready(self) -> bool:
        return self.state == JobState.DONE

    @property
    def state_label(self) -> str:
        return "Ready" if self.is_ready else super().state_label

    @property
    def is_packing(self) -> bool:
        return (
            self.is_at_work
            and self.format == ExportFormat.XLSX
            and self.reached >= self.row_count
        )

    @property
    def file_name(self) -> str:
        return (
            f"{self.kind}-{localdate(self.created_at):%Y-%m-%d}-{self.pk}.{self.format}"
        )

    @property
    def kept_until(self) -> datetime | None:
        return (
            self.finished_at + KEPT_FOR if self.is_ready and self.finished_at else None
        )


class ExportSelection(KeySelection):
    """The ids of the exported rows, in the order of the list."""

    data_export = models.OneToOneField(
        DataExport, on_delete=models.CASCADE, related_name="selection"
    )

    objects: ClassVar[CompanyQuerySet["ExportSelection"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Selection of export {self.data_export_id}"


class ExportPart(models.Model):
    """A compressed piece of the file with the index `file`, which consists of its pieces in order of their ids."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    data_export = models.ForeignKey(
        DataExport, on_delete=models.CASCADE, related_name="parts", db_index=False
    )
    file = models.PositiveSmallIntegerField(default=0, db_default=0)
    content = models.BinaryField()

    objects: ClassVar[CompanyQuerySet["ExportPart"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["file", "pk"]
        indexes = [
            models.Index(
                fields=["data_export", "file", "id"], name="export_parts_in_order"
            )
        ]

    def __str__(self) -> str:
        return f"Part {self.pk} of export {self.data_export_id}"

    def write(self, content: bytes) -> int:
        """Save the piece. Returns how many bytes it takes."""
        self.content = compress(content, 6)
        self.save()
        return len(self.content)

    def read(self) -> bytes:
        return decompress(bytes(self.content))
