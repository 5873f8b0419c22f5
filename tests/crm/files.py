"""Files to upload, and a storage that is away."""

from io import BytesIO
from typing import Any, Final

from django.core.files.storage import InMemoryStorage
from django.core.files.uploadedfile import SimpleUploadedFile

from crm.models import Attachment, Deal, Lead, Membership, Note
from crm.models.file_storage import storage
from crm.services.attachments import add_files, stored

AWAY: Final = "tests.crm.files.StorageAway"
CONTENT: Final = b"%PDF-1.7 forty licences"


class StorageAway(InMemoryStorage):
    """A storage that can't be reached."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no route to host")

    _save = _open = delete = listdir = _refuse


def upload(name: str = "Offer.pdf", content: bytes = CONTENT) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def make_file(
    membership: Membership,
    subject: Lead | Deal | Note,
    name: str = "Offer.pdf",
    content: bytes = CONTENT,
) -> Attachment:
    """A file of the member on a lead, a deal or a note."""
    with stored([upload(name, content)], company=membership.company) as files:
        return add_files(subject=subject, files=files, author=membership)[0]


def names_stored() -> set[str]:
    """The names of all files on the storage."""
    try:
        folders, _ = storage().listdir("")
    except FileNotFoundError:  # the folder is made with the first file
        return set()
    return {
        f"{folder}/{name}"
        for folder in folders
        for name in storage().listdir(folder)[1]
    }


def content_of(file: Attachment) -> bytes:
    with storage().open(file.stored_as) as content:
        read: bytes = content.read()
    return read


def put(name: str, content: bytes = CONTENT) -> str:
    """Put a file on the storage that no row refers to. Returns its name."""
    return storage().save(name, BytesIO(content))  # type: ignore[arg-type]
