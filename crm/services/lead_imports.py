"""Uploading, mapping, starting, cancelling and undoing imports.

The work itself is in `crm.data_exchange.importing`.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from crm.data_exchange.importing.archives import Archive, is_archive
from crm.data_exchange.importing.column_readings import (
    ColumnReading,
    as_json,
    readings_of,
    unanswered,
    version_of_columns,
)
from crm.data_exchange.importing.forgetting import forget_names, forget_rows
from crm.data_exchange.importing.objects.registry import object_of
from crm.data_exchange.importing.reading import MAX_BYTES
from crm.data_exchange.importing.spreadsheets import UnreadableFile
from crm.data_exchange.importing.storing import CHUNK, LeftToWorker, guess_again
from crm.data_exchange.importing.text_formats import TextFormat
from crm.data_exchange.importing.work import ImportRunner
from crm.models import (
    ApiKey,
    AuditAction,
    Company,
    ImportStep,
    Lead,
    LeadImport,
    LeadImportFile,
    User,
)
from crm.models.bidi import file_name
from crm.models.job import JobState
from crm.models.lead_import import (
    BYTES_OF_UNREAD,
    OPEN,
    ROWS_KEPT_FOR,
    UNSTARTED_KEPT_FOR,
)
from crm.models.space import require_room
from crm.services import audit, rate_limits
from crm.services.import_entries import add_entries, require_same_lists

Actor = User | ApiKey
# Bytes that are read and checked while the user waits, unless in many rows.
SMALL_FILE: Final = 256 * 1024
CHUNKS_AT_ONCE: Final = 3
LONGEST_FILE_NAME: Final = 120
UNCHECKED: Final = (ImportStep.READING, ImportStep.CHECKING)
UNCHECKED_AT_MOST: Final = 5  # of a company
WAIT: Final = (
    f"{UNCHECKED_AT_MOST} files of your company are being read and checked. Wait until"
    " one is done, or delete one."
)
BUSY: Final = (
    "Another import of your company is running. Wait until it ends, or cancel it."
)
EXPIRED: Final = "This file was uploaded more than a day ago, and is about to be deleted. Upload it again."
CHANGED_MEANWHILE: Final = (
    "Someone has changed the columns or values since you opened this page."
    " Look at them, and choose again."
)
OF_A_COMPANY: Final = (
    "This is an archive of “Export everything”. Unpack it, and import leads.csv, deals.csv,"
    " tasks.csv and notes.csv, in this order."
)
TOO_LATE: Final = "This import can no longer be undone."
ERASED_MEANWHILE: Final = "Someone was erased before this file was read. Upload it again, if they are not in it."


class TooManyWaiting(ValidationError):
    """The company already has UNCHECKED_AT_MOST files that are still to be read and checked."""


def upload(*, company: Company, file: UploadedFile, actor: Actor) -> LeadImport:  # type: ignore[type-arg]
    """Store a file. A small one is read and checked at once, others by a worker. Raises the same as `store`."""
    return _while_waiting(store(company=company, file=file, actor=actor))


def store(
    *,
    company: Company,
    file: UploadedFile,  # type: ignore[type-arg]
    actor: Actor,
    subject: str = "",
) -> LeadImport:
    """Store a file, which a worker reads and checks. Without a `subject`, it guesses what the file holds.

    Raises ValidationError or its subclasses TooManyWaiting and NoRoom, and TooOften if the company uploads too often.
    """
    if not file.size:
        raise ValidationError("This file is empty. Choose one that has rows.")
    if file.size > MAX_BYTES:
        raise ValidationError(
            f"This file has more than {MAX_BYTES // 2**20} MB. Split it, and import the parts."
        )
    rate_limits.check(
        "imports",
        company_id=company.pk,
        at_most=settings.IMPORTS_PER_MINUTE,
        an_hour=settings.IMPORTS_PER_HOUR,
    )
    file.seek(0)  # the file may have been read for its fingerprint
    content = file.read()
    _refuse_archive(content)
    with transaction.atomic():
        Company.objects.hold(company.pk)
        at_work = LeadImport.objects.for_company(company).at_work()
        if at_work.filter(step__in=UNCHECKED).count() >= UNCHECKED_AT_MOST:
            raise TooManyWaiting(WAIT)
        require_room(company.pk, BYTES_OF_UNREAD * file.size)
        lead_import = LeadImport.objects.create(
            company=company,
            subject=subject,
            file_name=file_name(file.name or "", longest=LONGEST_FILE_NAME),
            size=file.size,
            owner=actor if isinstance(actor, User) else None,
            **_by(actor),
        )
        LeadImportFile.objects.create(
            company=company, lead_import=lead_import, content=content
        )
    return lead_import


def _refuse_archive(content: bytes) -> None:
    """Raise ValidationError for a ZIP archive that is no spreadsheet, with what to do instead."""
    if not is_archive(content):
        return
    try:
        Archive(content)
    except UnreadableFile as error:
        raise ValidationError(str(error)) from error
    raise ValidationError(OF_A_COMPANY)


def _by(actor: Actor) -> dict[str, Any]:
    return {
        "made_by": actor if isinstance(actor, User) else None,
        "api_key": actor if isinstance(actor, ApiKey) else None,
    }


def read_again(*, lead_import: LeadImport, chosen: TextFormat) -> bool:
    """Read the file again in this format. False if it is gone, as it is once the import has started."""
    with transaction.atomic():
        unstarted = LeadImport.objects.filter(pk=lead_import.pk).at_check()
        locked = unstarted.select_for_update().first()
        file = LeadImportFile.objects.for_company(lead_import.company_id).filter(
            lead_import=locked
        )
        if locked is None or not file.update(asked_format=chosen.as_json):
            return False
        unstarted.update(state=JobState.WAITING, step=ImportStep.READING)
    _while_waiting(lead_import)
    return True


def map_columns(
    *,
    lead_import: LeadImport,
    columns: Sequence[str],
    readings: Sequence[ColumnReading] = (),
    seen: str = "",
) -> LeadImport:
    """Map the columns to these fields, and check all rows again.

    `readings` say how the columns are read. Without them, those of columns whose field stays the same are kept. Raises
    ValidationError if someone else has changed them since the version that was `seen`.
    """
    with transaction.atomic():
        unstarted = LeadImport.objects.filter(pk=lead_import.pk).at_check()
        # No other: a running one is locked chunk by chunk.
        locked = unstarted.select_for_update().first()
        if locked:
            before = version_of_columns(locked)
            locked.readings = as_json(readings or _kept(locked, columns))
            locked.columns, locked.planned, locked.reached = list(columns), {}, 0
            # The second of two clicks changes nothing any more.
            if seen and seen != before != version_of_columns(locked):
                raise ValidationError(CHANGED_MEANWHILE)
            locked.state = JobState.WAITING
            locked.save()
    return _while_waiting(locked or lead_import)


def choose_subject(*, lead_import: LeadImport, subject: str) -> LeadImport:
    """Say what the file holds: guess its columns again, and check all rows again. Nothing, once it is started."""
    with transaction.atomic():
        unstarted = LeadImport.objects.filter(pk=lead_import.pk).at_check()
        locked = unstarted.select_for_update().first()
        if locked is None or object_of(locked).subject == subject:
            return lead_import
        locked.subject = subject
        guess_again(locked)
        locked.planned, locked.reached, locked.state = {}, 0, JobState.WAITING
        locked.save()
    return _while_waiting(locked)


def _kept(lead_import: LeadImport, columns: Sequence[str]) -> Iterator[ColumnReading]:
    """The readings of the columns; a new one for a column with another field than before."""
    for name, reading, before in zip(
        columns, readings_of(lead_import), lead_import.columns, strict=True
    ):
        yield reading if name == before else ColumnReading()


def start(
    *, lead_import: LeadImport, owner: User | None, tells_platforms: bool, actor: Actor
) -> bool:
    """Queue the import of the rows, and add the entries of lists that it needs. Returns False if it isn't ready.

    Raises ValidationError if another is running, if the rows are about to be deleted, if someone has to say first how a
    column is read, if a list has changed since the check, or if the actor may not add the entries or a list is full.
    """
    try:
        with transaction.atomic():
            ready = LeadImport.objects.filter(pk=lead_import.pk, state=JobState.PAUSED)
            if ready.filter(created_at__lt=Now() - UNSTARTED_KEPT_FOR).exists():
                raise ValidationError(EXPIRED)
            changed = ready.update(
                state=JobState.WAITING,
                step=ImportStep.IMPORTING,
                reached=0,
                timeouts=0,
                done={},
                owner=owner,
                tells_platforms=tells_platforms,
                started_at=Now(),
                **_by(actor),
            )
            if changed:
                lead_import.refresh_from_db()
                _require_answers(lead_import)
                require_same_lists(lead_import)
                add_entries(lead_import, actor)
                lead_import.save(update_fields=["created", "readings"])
                LeadImportFile.objects.for_company(lead_import.company_id).filter(
                    lead_import=lead_import
                ).delete()
                details: audit.Details = {
                    "object": object_of(lead_import).plural,
                    "rows": lead_import.row_count,
                    "tells_ad_platforms": tells_platforms,
                }
                _record(lead_import, AuditAction.IMPORT, actor, details)
    except IntegrityError:
        raise ValidationError(BUSY) from None
    return bool(changed)


def _require_answers(lead_import: LeadImport) -> None:
    """Raise ValidationError if someone has to say first how a column is read."""
    if names := unanswered(lead_import):
        raise ValidationError(
            f"Say how “{names[0]}” is read, and check again: its values can be read in two ways."
        )


def cancel(*, lead_import: LeadImport, actor: Actor) -> bool:
    """Stop the import after the current chunk. Leads imported by then are kept. Returns False if it isn't running."""
    with transaction.atomic():
        changed = LeadImport.objects.filter(
            pk=lead_import.pk, step=ImportStep.IMPORTING
        ).end(JobState.CANCELLED)
        if changed:
            _record(lead_import, AuditAction.IMPORT_CANCELLED, actor)
    return bool(changed)


def discard(*, lead_import: LeadImport) -> bool:
    """Delete an upload that was not started, with all of its rows. Returns False if it was started."""
    with transaction.atomic():
        own = LeadImport.objects.filter(pk=lead_import.pk, started_at=None)
        # Locked: otherwise an import that starts between the deletion's two statements would be deleted. Running
        # imports are left out: each of their chunks locks them.
        return bool(list(own.select_for_update()) and own.delete()[0])


def undo(*, lead_import: LeadImport, actor: Actor) -> bool:
    """Queue the undo of what the import wrote. Returns False if it has been undone or has not ended.

    Raises ValidationError if it is too late, or another one is running.
    """
    try:
        with transaction.atomic():
            ended = LeadImport.objects.filter(
                pk=lead_import.pk, started_at__isnull=False
            ).exclude(state__in=OPEN)
            ended = ended.exclude(state=JobState.DONE, step=ImportStep.UNDOING)
            if ended.filter(finished_at__lt=Now() - ROWS_KEPT_FOR).exists():
                raise ValidationError(TOO_LATE)
            changed = ended.update(
                state=JobState.WAITING,
                step=ImportStep.UNDOING,
                timeouts=0,
                problem="",
            )
            if changed:
                _record(lead_import, AuditAction.IMPORT_UNDONE, actor)
    except IntegrityError:
        raise ValidationError(BUSY) from None
    return bool(changed)


def forget_person(lead: Lead) -> None:
    """Remove a person who is being erased from imports, and drop all files: the person may be in them."""
    imports = LeadImport.objects.for_company(lead.company_id)
    unread = imports.filter(step=ImportStep.READING)
    list(unread.at_work().select_for_update())
    LeadImportFile.objects.for_company(lead.company_id).delete()
    unread.end(JobState.FAILED, ERASED_MEANWHILE)
    forget_rows(lead)
    forget_names(lead)


def _while_waiting(lead_import: LeadImport) -> LeadImport:
    if lead_import.size <= SMALL_FILE:
        runner = ImportRunner(rows_at_once=CHUNKS_AT_ONCE * CHUNK)
        with suppress(LeftToWorker):
            all(runner.advance(lead_import.pk) for _ in range(CHUNKS_AT_ONCE))
    lead_import.refresh_from_db()
    return lead_import


def _record(
    lead_import: LeadImport,
    action: AuditAction,
    actor: Actor,
    details: audit.Details | None = None,
) -> None:
    audit.record(
        company=lead_import.company_id,
        action=action,
        about=lead_import,
        details=details,
        actor=actor,
    )
