"""Files for pages and the API: those on a lead, a deal or notes, and the content of one."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.http import FileResponse

from crm.models import Attachment, Deal, Lead, Membership, Note
from crm.models.attachment import MAX_FILES
from crm.models.file_storage import open_stored
from crm.models.roles import Action
from crm.services.attachments import may_delete

# Whatever the file is: no browser shows it on our origin.
CONTENT_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True)
class ShownFile:
    """A file, and whether its reader may delete it."""

    file: Attachment
    is_deletable: bool


def files_on(subject: Lead | Deal | Note, reader: Membership) -> list[ShownFile]:
    """The files on a note, or on a deal or lead itself, newest first; none for a reader who may see none. One query."""
    if not reader.may(Action.SEE_FILES):
        return []
    files = Attachment.objects.on(subject).select_related("actor", "api_key")[
        :MAX_FILES
    ]
    return [ShownFile(file, may_delete(file, reader)) for file in files]


def files_on_notes(
    notes: Collection[Note], reader: Membership
) -> Mapping[int, Sequence[ShownFile]]:
    """The files on each of these notes, by the note's id, as `files_on` returns them. One query, if there are notes."""
    found: defaultdict[int, list[ShownFile]] = defaultdict(list)
    if notes and reader.may(Action.SEE_FILES):
        files = Attachment.objects.for_company(reader.company_id).filter(note__in=notes)
        for file in files.select_related("actor", "api_key"):
            assert file.note_id is not None
            found[file.note_id].append(ShownFile(file, may_delete(file, reader)))
    return found


def download_of(attachment: Attachment) -> FileResponse:
    """The file, as a download that no browser shows on a page. Raises StorageFailed."""
    content = open_stored(attachment.stored_as)
    return FileResponse(
        content, as_attachment=True, filename=str(attachment), content_type=CONTENT_TYPE
    )
