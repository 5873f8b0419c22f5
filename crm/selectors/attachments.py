"""Files for pages and the API: those on a lead or deal, and the content of one."""

from dataclasses import dataclass
from typing import Final

from django.http import FileResponse

from crm.models import Attachment, Deal, Lead, Membership
from crm.models.attachment import MAX_FILES
from crm.models.file_storage import open_stored
from crm.models.roles import Action
from crm.services.attachments import may_delete

CONTENT_TYPE: Final = "application/octet-stream"  # whatever it is: no browser shows it on our origin


@dataclass(frozen=True)
class ShownFile:
    """A file, and whether its reader may delete it."""

    file: Attachment
    is_deletable: bool


def files_on(subject: Lead | Deal, reader: Membership) -> list[ShownFile]:
    """The files on a deal or on a lead itself, newest first; none for those who may see none. One query."""
    if not reader.may(Action.SEE_FILES):
        return []
    files = Attachment.objects.on(subject).select_related("actor", "api_key")[:MAX_FILES]
    return [ShownFile(file, may_delete(file, reader)) for file in files]


def download_of(attachment: Attachment) -> FileResponse:
    """The file, to be kept by whoever asked for it and never shown. Raises StorageFailed."""
    content = open_stored(attachment.stored_as)
    return FileResponse(content, as_attachment=True, filename=str(attachment), content_type=CONTENT_TYPE)
