"""Files on leads, deals and notes: adding and deleting them, permissions, and the sweep of files without a row.

The storage (`crm.models.file_storage`) has no transactions. So the content is stored first, and its row is written
afterwards: whatever happens in between, every row has its file, and no one can read a file without a row.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import InterfaceError, OperationalError, transaction

from crm.models import Attachment, Company, Deal, Lead, Note
from crm.models import file_storage as storage
from crm.models.attachment import LONGEST_NAME, MAX_BYTES, MAX_FILES, MAX_ON_NOTE
from crm.models.bidi import file_name
from crm.models.contribution import Author
from crm.models.roles import Action
from crm.models.space import require_room
from crm.services.erasure import locking_subject

NO_ANSWER: Final = (OperationalError, InterfaceError)  # a connection that has failed
CHUNK: Final = 1_000
# A whole day: the row of a file is written within minutes, or never.
SWEPT_AFTER: Final = timedelta(days=1)
NO_FILE: Final = "Choose a file first."
NOT_DELETABLE: Final = (
    "Only the person who added this file, or an admin, can delete it."
)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is on the storage, and has no row yet. `size` is in bytes."""

    name: str
    size: int
    stored_as: str


@contextmanager
def stored(
    files: Sequence["UploadedFile[Any]"], *, company: Company
) -> Iterator[list[StoredFile]]:
    """Store the files while their rows are written. Files that have no row in the end are deleted again.

    If the connection to the database fails, that is left to the sweep: the rows may still be committed.

    Don't use it in a transaction, which would stay open for as long as the storage takes. Raises ValidationError and
    StorageFailed.
    """
    _refuse_unless_right(files)
    require_room(company.pk, sum(file.size or 0 for file in files))
    done: list[StoredFile] = []
    is_known = True
    try:
        for file in files:
            name = file_name(file.name or "", longest=LONGEST_NAME)
            done.append(StoredFile(name, file.size or 0, storage.store(file)))
        yield done
    except NO_ANSWER:
        is_known = False
        raise
    finally:
        if is_known:
            _discard_unused([file.stored_as for file in done])


def add_files(
    *, subject: Lead | Deal | Note, files: Sequence[StoredFile], author: Author
) -> list[Attachment]:
    """Write the rows of these stored files, all or none.

    Raises ValidationError, PersonErased, and DeletedMeanwhile if the deal has been deleted.
    """
    note, deal, lead = _place(subject)
    with transaction.atomic():
        # Of two concurrent uploads, the second sees what the first has used.
        Company.objects.hold(subject.company_id)
        require_room(subject.company_id, sum(file.size for file in files))
        _refuse_too_many(subject, len(files))
        # A note stays with the former lead of its deal.
        holder = deal.lead if deal else lead
        with locking_subject(
            lead_id=holder.pk if holder else None, deal_id=deal.pk if deal else None
        ):
            if note:
                _lock_note(note)
            rows = [
                Attachment(
                    company_id=subject.company_id,
                    lead=lead,
                    deal=deal,
                    note=note,
                    name=file.name,
                    size=file.size,
                    stored_as=file.stored_as,
                )
                for file in files
            ]
            for row in rows:
                row.sign(author)
            return Attachment.objects.bulk_create(rows)


def _place(
    subject: Lead | Deal | Note,
) -> tuple[Note | None, Deal | None, Lead | None]:
    if isinstance(subject, Note):
        return subject, subject.deal, subject.lead
    if isinstance(subject, Deal):
        return None, subject, subject.lead
    return None, None, subject


def _refuse_too_many(subject: Lead | Deal | Note, added: int) -> None:
    count = Attachment.objects.on(subject).count() + added
    if isinstance(subject, Note):
        if count > MAX_ON_NOTE:
            raise ValidationError(
                f"At most {MAX_ON_NOTE} files can be kept on a note. Add them to its lead or deal instead."
            )
    elif count > MAX_FILES:
        raise ValidationError(
            f"At most {MAX_FILES} files can be kept on a lead or deal. Delete some that are no longer needed."
        )


def _lock_note(note: Note) -> None:
    """Lock the note. Raises ValidationError if it has been deleted."""
    rows = Note.objects.select_for_update(no_key=True).filter(pk=note.pk)
    if not rows.exists():
        raise ValidationError("Nothing was uploaded: this note has since been deleted.")


def delete_file(*, attachment: Attachment) -> None:
    """Delete the row and, after the commit, the content."""
    attachment.delete()


def may_delete(attachment: Attachment, author: Author) -> bool:
    """True for the author's own file, and for an admin any file."""
    return author.may(Action.DELETE_LEADS) or (
        author.may(Action.EDIT_LEADS) and attachment.is_by(author)
    )


def fingerprint(file: "UploadedFile[Any]") -> str:
    """The SHA-256 of the file's name and content, in hex, read in chunks. Uploads with the same hash are the same."""
    digest = hashlib.sha256(f"{file.name}/".encode(errors="surrogatepass"))
    for piece in file.chunks():
        digest.update(piece)
    return digest.hexdigest()


def sweep(step: Callable[[], None]) -> int:
    """Delete stored files without a row: left by a crash, by an outage of the storage, or by a restore.

    Returns how many were deleted. `step` is called before each request to the storage, and may raise.
    """
    before = datetime.now(UTC).date() - SWEPT_AFTER
    deleted = 0
    for folder in storage.folders(before=before):
        step()
        names = storage.names_in(folder)
        for start in range(0, len(names), CHUNK):
            for name in _unused(names[start : start + CHUNK]):
                step()
                storage.delete(name)
                deleted += 1
    return deleted


def _refuse_unless_right(files: Sequence["UploadedFile[Any]"]) -> None:
    if not files:
        raise ValidationError(NO_FILE)
    for file in files:
        name = file_name(file.name or "", longest=LONGEST_NAME)
        if not file.size:
            raise ValidationError(f"Nothing was uploaded: {name} is empty.")
        if file.size > MAX_BYTES:
            raise ValidationError(
                f"Nothing was uploaded: {name} has more than {MAX_BYTES // 2**20} MB."
            )


def _unused(names: Iterable[str]) -> set[str]:
    """The stored names that no row refers to."""
    wanted = set(names)
    rows = Attachment.objects.filter(stored_as__in=wanted)
    return wanted.difference(rows.values_list("stored_as", flat=True))


def _discard_unused(names: Sequence[str]) -> None:
    """Delete the stored files that got no row. If the database can't be queried now, the sweep deletes them later."""
    try:
        unused = _unused(names) if names else ()
    except NO_ANSWER:
        return
    for name in unused:
        storage.discard(name)
