"""Exports: files of a list or of a whole company, written in the background and kept for a day.

A file is stored here in compressed parts: web servers and workers may be on different machines, and an erasure has to
reach it.
"""

from datetime import datetime, timedelta
from typing import ClassVar, Final, Self
from zlib import compress, decompress

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.timezone import localdate

from crm.models.company import Company
from crm.models.contribution import Author
from crm.models.jobs import KeySelection, TimeLimited
from crm.models.people import ApiKey, Membership, User
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet

KEPT_FOR: Final = timedelta(days=1)  # after its end


class ExportKind(models.TextChoices):
    """What is exported."""

    LEADS = "leads", "Leads"
    DEALS = "deals", "Deals"
    TASKS = "tasks", "Tasks"
    ORGANISATIONS = "organisations", "Organisations"
    COMPANY = "company", "Whole company"


class ExportFormat(models.TextChoices):
    """The format of the file. A whole company is a ZIP archive of CSV files."""

    CSV = "csv", "CSV"
    XLSX = "xlsx", "XLSX"
    ZIP = "zip", "ZIP"


class ExportState(models.TextChoices):
    """The states of an export. A worker still has to work on it in those of `AT_WORK`."""

    WRITING = "writing", "Writing"
    PACKING = "packing", "Packing"
    DONE = "done", "Ready"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


AT_WORK: Final = (ExportState.WRITING, ExportState.PACKING)


class DataExportQuerySet(CompanyQuerySet["DataExport"]):
    def at_work(self) -> Self:
        """Exports that a worker still has to work on."""
        return self.filter(state__in=AT_WORK)

    def end_without_file(self, state: ExportState, problem: str = "") -> bool:
        """End the exports that are at work, and delete their parts. False if there are none."""
        pks = list(self.at_work().values_list("pk", flat=True))
        ended = self.filter(pk__in=pks).at_work()  # checked again: another process may have just ended one
        if not ended.update(state=state, problem=problem, finished_at=Now()):
            return False
        ExportPart.objects.filter(data_export__in=pks).delete()
        return True

    def kept(self) -> Self:
        """Exports that have not expired, whether or not housekeeping has deleted the expired ones yet."""
        return self.filter(Q(finished_at=None) | Q(finished_at__gt=Now() - KEPT_FOR))

    def by(self, author: Author) -> Self:
        """Exports that this member or API key requested."""
        own = self.for_company(author.company)
        return own.filter(made_by=author.user) if isinstance(author, Membership) else own.filter(api_key=author)

    def open_to(self, author: Author) -> Self:
        """The exports of this member or API key; all of the company's for one who manages it."""
        if author.may(Action.MANAGE_COMPANY):
            return self.for_company(author.company)
        return self.by(author).exclude(kind=ExportKind.COMPANY)


class DataExport(TimeLimited):
    """A file that `made_by` or `api_key` requested, and how far the work on it has got.

    `columns` are the column keys of the current file, the same for all of its rows. `reached` is the number of rows
    done, out of `row_count`. A worker continues after the row with the id `after` in the file with the index `file`:
    both are 0 except in an archive. `restarts` counts restarts of the work: what was started earlier can't end it.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="data_exports", db_index=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=20, choices=ExportKind.choices)
    format = models.CharField(max_length=4, choices=ExportFormat.choices)
    state = models.CharField(max_length=10, choices=ExportState.choices, default=ExportState.WRITING)
    problem = models.CharField(max_length=300, blank=True, default="", db_default="")  # why it failed, in a sentence
    columns = models.JSONField(default=list)
    row_count = models.PositiveIntegerField()
    reached = models.PositiveIntegerField(default=0, db_default=0)
    file = models.PositiveSmallIntegerField(default=0, db_default=0)
    after = models.BigIntegerField(default=0, db_default=0)
    size = models.PositiveBigIntegerField(default=0, db_default=0)  # in bytes; for an archive, of the files in it
    stored = models.PositiveBigIntegerField(default=0, db_default=0)  # bytes, of its parts and its selection
    restarts = models.PositiveIntegerField(default=0, db_default=0)
    packed_until = models.DateTimeField(null=True)  # the lease of the worker that packs it
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[DataExportQuerySet] = DataExportQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["company", "id"], name="data_export_of_company"),
            models.CheckConstraint(
                condition=Q(made_by=None, api_key__isnull=False) | Q(made_by__isnull=False, api_key=None),
                name="data_export_by_person_or_key",
            ),
        ]
        indexes = [
            models.Index(fields=["state"], name="exports_at_work", condition=Q(state__in=AT_WORK)),
            models.Index(fields=["api_key"], name="exports_by_api_key", condition=Q(api_key__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"Export {self.pk}"

    @property
    def author(self) -> User | ApiKey | None:
        """The person or key that requested it."""
        return self.made_by or self.api_key

    @property
    def is_at_work(self) -> bool:
        return self.state in AT_WORK

    @property
    def is_ready(self) -> bool:
        return self.state == ExportState.DONE

    @property
    def needs(self) -> Action:
        """The permission needed to make it and to download it."""
        return Action.MANAGE_COMPANY if self.kind == ExportKind.COMPANY else Action.EXPORT_LEADS

    @property
    def file_name(self) -> str:
        return f"{self.kind}-{localdate(self.created_at):%Y-%m-%d}-{self.pk}.{self.format}"

    @property
    def kept_until(self) -> datetime | None:
        return self.finished_at + KEPT_FOR if self.is_ready and self.finished_at else None


class ExportSelection(KeySelection):
    """The ids of the exported rows, in the order of the list."""

    data_export = models.OneToOneField(DataExport, on_delete=models.CASCADE, related_name="selection")

    objects: ClassVar[CompanyQuerySet["ExportSelection"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Selection of export {self.data_export_id}"


class ExportPart(models.Model):
    """A compressed piece of the file with the index `file`, which consists of its pieces in order of their ids."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+", db_index=False)
    data_export = models.ForeignKey(DataExport, on_delete=models.CASCADE, related_name="parts", db_index=False)
    file = models.PositiveSmallIntegerField(default=0, db_default=0)
    content = models.BinaryField()

    objects: ClassVar[CompanyQuerySet["ExportPart"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["file", "pk"]
        indexes = [models.Index(fields=["data_export", "file", "id"], name="export_parts_in_order")]

    def __str__(self) -> str:
        return f"Part {self.pk} of export {self.data_export_id}"

    def write(self, content: bytes) -> int:
        """Save the piece. Returns how many bytes it takes."""
        self.content = compress(content, 6)
        self.save()
        return len(self.content)

    def read(self) -> bytes:
        return decompress(bytes(self.content))
