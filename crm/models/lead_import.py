"""Imports of leads and other objects: the uploaded file, its rows, and how far the work on them has come.

A file is read into rows at once. It is kept until the import starts, in case it has to be read in another format. Rows
hold personal data: they are kept for a week, or for a day if no one starts the import. An erasure empties those of the
person, and drops all files.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from json.encoder import encode_basestring
from typing import Any, ClassVar, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from crm.models.company import Company
from crm.models.contribution import active_author
from crm.models.job import AT_WORK, Job, JobQuerySet, JobState
from crm.models.lead import Lead
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet

ROWS_KEPT_FOR: Final = timedelta(days=7)  # after the end: until then it can be undone
UNSTARTED_KEPT_FOR: Final = timedelta(days=1)  # after the upload


class ReadableJSONEncoder(json.JSONEncoder):
    """Doesn't escape letters: jsonb stores them as they are anyway, and a short text is read sooner."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})

    def encode(self, o: Any) -> str:
        """Encode as json does, but a list of texts in a third of the time."""
        if isinstance(o, list) and set(map(type, o)) <= {str}:
            return f"[{', '.join(map(encode_basestring, o))}]"
        return super().encode(o)


OPEN: Final = (*AT_WORK, JobState.PAUSED)


class ImportStep(models.TextChoices):
    """The steps of an import. Once it is checked, it is paused until someone starts it."""

    READING = "reading", "Reading the file"
    CHECKING = "checking", "Checking the rows"
    IMPORTING = "importing", "Importing"
    UNDOING = "undoing", "Being undone"


COUNTED: Final = (ImportStep.CHECKING, ImportStep.IMPORTING)


class ImportSubject(models.TextChoices):
    """What a file holds."""

    LEAD = "lead", "Leads"
    DEAL = "deal", "Deals"
    TASK = "task", "Tasks"
    NOTE = "note", "Notes and calls"


# One of a company at a time.
WRITING: Final = Q(
    state__in=AT_WORK, step__in=(ImportStep.IMPORTING, ImportStep.UNDOING)
)

# How much an import takes of its company's space: for each byte of a file until it is read, because its rows will take
# about as much; then for each row besides its text (in PostgreSQL 110 bytes, and 67 in indexes). A text file counts
# until the import starts.
BYTES_OF_UNREAD: Final = 2
BYTES_OF_A_ROW: Final = 180
STORED_BYTES: Final = Case(
    When(state__in=AT_WORK, step=ImportStep.READING, then=BYTES_OF_UNREAD * F("size")),
    When(
        ~Q(file_format={}),
        state__in=OPEN,
        step=ImportStep.CHECKING,
        then=F("size") + F("row_bytes"),
    ),
    default=F("row_bytes"),
    output_field=models.BigIntegerField(),
)


class RowOutcome(models.TextChoices):
    """The outcome of a row. The counts of the four add up to the rows of the file."""

    NEW = "new", "New"
    UPDATE = "update", "Update"
    DUPLICATE = "duplicate", "Duplicate"
    BAD = "bad", "Bad"


class RowProblem(models.TextChoices):
    """What is wrong with a row or a cell, for the totals."""

    NAME_MISSING = "name_missing", "Name is missing"
    EMAIL_INVALID = "email_invalid", "E-mail address is invalid"
    LEAD_UNKNOWN = "lead_unknown", "No lead has this number, address or name"
    LEAD_AMBIGUOUS = "lead_ambiguous", "Several leads fit: add their numbers"
    DEAL_UNKNOWN = "deal_unknown", "No deal has this number or title"
    DEAL_AMBIGUOUS = "deal_ambiguous", "Several deals fit: add their numbers"
    TITLE_MISSING = "title_missing", "Title is missing"
    DUE_MISSING = "due_missing", "Due date is missing"
    TEXT_MISSING = "text_missing", "Text is missing"
    NOT_A_ROW_NUMBER = "not_a_row_number", "Not a whole number"
    STAGE_UNKNOWN = "stage_unknown", "Unknown stage"
    PIPELINE_UNKNOWN = "pipeline_unknown", "Unknown pipeline"
    REASON_UNKNOWN = "reason_unknown", "Unknown lost reason"
    NOT_A_CURRENCY = "not_a_currency", "Not a currency"
    AMOUNT_IMPOSSIBLE = "amount_impossible", "Amount is negative or too large"
    DATE_IMPOSSIBLE = "date_impossible", "Date is too early or in the future"
    STATUS_UNKNOWN = "status_unknown", "Unknown status"
    TYPE_UNKNOWN = "type_unknown", "Unknown type"
    OWNER_UNKNOWN = "owner_unknown", "Not one of your colleagues"
    AUTHOR_OTHER = "author_other", "Only admins import what others wrote"
    TAG_UNKNOWN = "tag_unknown", "Tag is not in the company's list"
    CONSENT_UNCLEAR = "consent_unclear", "Consent is neither yes nor no"
    TOO_LONG = "too_long", "Text is too long"
    NOT_A_TEXT = "not_a_text", "Text can't be stored"
    NOT_A_NUMBER = "not_a_number", "Not a number"
    NUMBER_UNCLEAR = "number_unclear", "Can be two numbers"
    NUMBER_DOUBTFUL = "number_doubtful", "Could be another number"
    ROUNDED = "rounded", "Has more decimals than the field"
    NOT_A_DATE = "not_a_date", "Not a date"
    DATE_UNCLEAR = "date_unclear", "Can be two dates"
    DATE_DOUBTFUL = "date_doubtful", "Could be another date"
    NOT_A_TIME = "not_a_time", "Not a time"
    NOT_YES_OR_NO = "not_yes_or_no", "Neither yes nor no"
    NOT_A_CHOICE = "not_a_choice", "Not one of the choices"
    NOT_A_URL = "not_a_url", "Not a web address"
    LEFT_EMPTY = "left_empty", "Left empty, as chosen"
    ROW_LEFT_OUT = "row_left_out", "Left out, as chosen"
    REQUIRED = "required", "A required field is empty"
    TOO_MANY_CELLS = "too_many_cells", "More cells than columns"
    ERASED = "erased", "The person has been erased"


# Cells with these are stored and listed. All others are left out.
DOUBTS: Final = (
    RowProblem.NUMBER_DOUBTFUL,
    RowProblem.ROUNDED,
    RowProblem.DATE_DOUBTFUL,
)


class Otherwise(models.TextChoices):
    """What an import does about a cell that it can't read, or whose value is not in the company's list."""

    EMPTY = "empty", "Leave the cell empty"
    ROW = "row", "Leave out the row"
    CREATE = "create", "Add it to the list"


class RowUndo(models.TextChoices):
    """What an undo did with a row's record."""

    REMOVED = "removed", "Removed"
    PUT_BACK = "put_back", "Put back"
    KEPT = "kept", "Kept, because it has a deal or was changed since"


class LeadImportQuerySet(JobQuerySet["LeadImport"]):
    def at_check(self) -> Self:
        """Imports whose rows are being checked, or have been: what is known of their columns may be corrected."""
        return self.filter(state__in=OPEN, step=ImportStep.CHECKING)

    def unstarted(self) -> Self:
        """Imports that no one has started, without those whose file is still being read or checked."""
        return self.filter(started_at=None).exclude(state__in=AT_WORK)

    def with_content(self) -> Self:
        """Imports whose file or rows are kept, whether or not housekeeping has deleted those that have expired."""
        started = Q(started_at__isnull=False, finished_at__gt=Now() - ROWS_KEPT_FOR)
        unstarted = Q(started_at=None, created_at__gt=Now() - UNSTARTED_KEPT_FOR)
        return self.filter(Q(state__in=AT_WORK) | started | unstarted)


class LeadImport(Job):
    """An upload and the work on its rows.

    `file_format` is the `TextFormat` that the file was read in, {} for a spreadsheet.
    `made_by` or `api_key` uploaded it, or started it later.
    `subject` is what the file holds, "" until it is read, unless someone has said so before.
    `columns` has a field of that, or "", for each name in `header`, and `readings` a `ColumnReading`. `planned` and
    `done` count rows by `RowOutcome`, bad rows also by `RowProblem`, cells by column and `RowProblem`, and CRM events
    by kind: `planned` as checked, `done` so far. `created` has the keys of what the import has added to the company's
    lists, by list. `reached` is the number of the last row that the current work has finished. `row_bytes` is about how
    much space the rows take.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="lead_imports"
    )
    subject = models.CharField(
        max_length=10,
        choices=ImportSubject.choices,
        blank=True,
        default="",
        db_default=ImportSubject.LEAD,
    )
    file_name = models.CharField(max_length=120)
    size = models.PositiveIntegerField()  # of the file, in bytes
    step = models.CharField(
        max_length=10, choices=ImportStep.choices, default=ImportStep.READING
    )
    # What was guessed about the file, in sentences.
    notes = models.JSONField(default=list)
    file_format = models.JSONField(default=dict, db_default={})
    header = models.JSONField(default=list)
    columns = models.JSONField(default=list)
    readings = models.JSONField(default=list, db_default=[])
    created = models.JSONField(default=dict, db_default={})
    row_bytes = models.PositiveBigIntegerField(default=0, db_default=0)
    planned = models.JSONField(default=dict)
    done = models.JSONField(default=dict)
    # Of new leads.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    tells_platforms = models.BooleanField(default=False, db_default=False)
    # Conversions that an undo came too late for.
    already_told = models.PositiveIntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True)

    objects: ClassVar[LeadImportQuerySet] = LeadImportQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company"],
                condition=WRITING,
                name="one_import_at_a_time_per_company",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state"], name="imports_at_work", condition=Q(state__in=AT_WORK)
            ),
            models.Index(
                fields=["api_key"],
                name="imports_by_api_key",
                condition=Q(api_key__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Import {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("lead_import", args=[self.pk])

    @classmethod
    def clear(cls, pks: Sequence[int], state: str) -> None:
        if state == JobState.FAILED:
            LeadImportFile.objects.filter(lead_import__in=pks).delete()

    @property
    def title(self) -> str:
        return self.file_name

    def may_manage_company(self) -> bool:
        """True if the person or key that requested the import may do so now."""
        author = active_author(
            company_id=self.company_id,
            user_id=self.made_by_id,
            api_key_id=self.api_key_id,
        )
        return author is not None and author.may(Action.MANAGE_COMPANY)

    @property
    def needs(self) -> Action | None:
        """None while the rows are read and checked, or an import is undone: any member with access may ask for that."""
        return Action.IMPORT_LEADS if self.step == ImportStep.IMPORTING else None

    @property
    def state_label(self) -> str:
        if self.is_at_work:
            return ImportStep(self.step).label
        if self.was_undone:
            return "Undone"
        return "Ready to start" if self.is_checked else super().state_label

    @property
    def is_checked(self) -> bool:
        """True if it waits for someone to start it."""
        return self.state == JobState.PAUSED

    @property
    def is_at_check(self) -> bool:
        """True if its rows are being checked, or have been."""
        return self.state in OPEN and self.step == ImportStep.CHECKING

    @property
    def is_importing(self) -> bool:
        return self.is_at_work and self.step == ImportStep.IMPORTING

    @property
    def was_undone(self) -> bool:
        return self.state == JobState.DONE and self.step == ImportStep.UNDOING

    @property
    def has_ended(self) -> bool:
        return self.state not in OPEN and not self.was_undone

    @property
    def can_be_cancelled(self) -> bool:
        return self.is_importing

    @property
    def rows_done(self) -> int:
        """How many rows the current work has finished."""
        counts = self.planned if self.step == ImportStep.CHECKING else self.done
        return sum(counts.get(outcome, 0) for outcome in RowOutcome)

    @property
    def counts_rows(self) -> bool:
        """False while the file is read or the import is undone."""
        return not self.is_at_work or self.step in COUNTED

    @property
    def read_bytes(self) -> int:
        """How much it takes of its company's space once its file is read."""
        return self.row_bytes + (self.size if self.file_format else 0)

    @property
    def undo_until(self) -> datetime | None:
        """Until when it can be undone. None if it has not ended or has written nothing, and once it is too late."""
        writes = self.done.get(RowOutcome.NEW, 0) + self.done.get(RowOutcome.UPDATE, 0)
        until = None
        if self.has_ended and self.finished_at and writes:
            until = self.finished_at + ROWS_KEPT_FOR
        return until if until and until > timezone.now() else None


class LeadImportFile(models.Model):
    """The uploaded file: a text file until the import starts, a spreadsheet until its rows are read.

    `asked_format` is the `TextFormat` that someone wants it to be read in; None before anyone has chosen.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lead_import = models.OneToOneField(
        LeadImport, on_delete=models.CASCADE, related_name="file"
    )
    content = models.BinaryField()
    asked_format = models.JSONField(null=True)

    objects: ClassVar[CompanyQuerySet["LeadImportFile"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"File of import {self.lead_import_id}"


class LeadImportRowQuerySet(CompanyQuerySet["LeadImportRow"]):
    def of(self, lead_import: LeadImport) -> Self:
        """The rows of this import, in the order of its file."""
        return (
            self.for_company(lead_import.company_id)
            .filter(lead_import=lead_import)
            .order_by("number")
        )

    def forget(self) -> None:
        """Empty the rows. A later check calls them bad: `RowProblem.ERASED`."""
        self.update(cells=[], key="", filled={}, cell_problems=None)


class LeadImportRow(models.Model):
    """A row of the file, as text, and its outcome.

    `key` is the same in rows about the same record. `lead` is the lead that the row is about: of a file of leads, the
    one that it writes. `record_id` is the key of another record that it writes. `filled` has the values that an update
    wrote, by field; for tags, the keys of the links to the lead. A bad row's `column` is the index of the cell with the
    problem, a duplicate's `of_row` the number of the row that it repeats. `cell_problems` has the `RowProblem` of each
    cell that is left out, or stored but doubtful, by the index of its column; None if there is no such cell.
    `is_opted_out`: another row about the person says that they are not shared.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    lead_import = models.ForeignKey(
        LeadImport, on_delete=models.CASCADE, related_name="rows", db_index=False
    )
    number = models.PositiveIntegerField()  # in the file, where the first row is 1
    cells = models.JSONField(default=list, encoder=ReadableJSONEncoder)
    key = models.CharField(max_length=32, blank=True, default="", db_default="")
    outcome = models.CharField(
        max_length=10, choices=RowOutcome.choices, blank=True, default="", db_default=""
    )
    problem = models.CharField(
        max_length=20, choices=RowProblem.choices, blank=True, default="", db_default=""
    )
    column = models.PositiveSmallIntegerField(null=True)
    of_row = models.PositiveIntegerField(null=True)
    cell_problems = models.JSONField(null=True)
    # From the check on, a new row has the key of its lead, which doesn't exist yet: the database can't check the key.
    lead = models.ForeignKey(
        Lead,
        null=True,
        on_delete=models.SET_NULL,
        related_name="import_rows",
        db_constraint=False,
    )
    record_id = models.BigIntegerField(null=True)
    is_opted_out = models.BooleanField(default=False, db_default=False)
    filled = models.JSONField(default=dict)
    undo = models.CharField(
        max_length=10, choices=RowUndo.choices, blank=True, default="", db_default=""
    )

    objects: ClassVar[LeadImportRowQuerySet] = LeadImportRowQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["lead_import", "number"], name="one_import_row_per_number"
            )
        ]
        indexes = [
            models.Index(fields=["lead_import", "key"], name="import_row_by_key"),
            models.Index(
                fields=["record_id"],
                name="import_row_by_record",
                condition=Q(record_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Row {self.number} of import {self.lead_import_id}"


def add_counts(before: dict[str, int], more: dict[str, int]) -> dict[str, Any]:
    """The sums by key."""
    return {key: before.get(key, 0) + more.get(key, 0) for key in {**before, **more}}
