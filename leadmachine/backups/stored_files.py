"""The files of leads, deals and notes: from their storage, whichever it is, into an archive, and back."""

import logging
import tarfile
from pathlib import Path
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.utils import validate_file_name

from crm.models import Attachment
from crm.models.file_storage import storage
from leadmachine.backups.contents import BackupFailed

logger = logging.getLogger(__name__)


def archive(to: Path) -> tuple[int, int]:
    """Archive the files that rows name. Returns how many, and how many the storage does not have. Raises BackupFailed.

    A file that is deleted meanwhile is missing; its row, which the snapshot still shows, is restored without it.
    """
    count = missing = 0
    names = Attachment.objects.order_by("pk").values_list("stored_as", flat=True)
    with tarfile.open(to, "w") as tar:
        for name in names.iterator():
            try:
                with storage().open(name) as content:
                    _add(tar, name, content)
                count += 1
            except FileNotFoundError:
                logger.warning("The storage has no file %s: it is in no backup.", name)
                missing += 1
            except Exception as error:  # each storage raises its own
                raise BackupFailed(f"File {name} can't be read: {error}") from error
    return count, missing


def _add(tar: tarfile.TarFile, name: str, content: "File[Any]") -> None:
    info = tarfile.TarInfo(name)
    info.size = content.size
    tar.addfile(info, content)


def check(archive: Path) -> None:
    """Raise BackupFailed unless the archive is whole, and has nothing but files whose names stay in the storage."""
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                validate_file_name(member.name, allow_relative_path=True)
                if not member.isfile():
                    raise BackupFailed(f"{member.name} in {archive} is no file.")
    except (tarfile.TarError, SuspiciousFileOperation) as error:
        raise BackupFailed(
            f"{archive} is not as LeadMachine writes it: {error}. Restore another backup."
        ) from error


def extract(archive: Path) -> None:
    """Store the files of the archive that are not there yet. Raises BackupFailed."""
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            try:
                _store(member.name, File(tar.extractfile(member)), member.size)
            except Exception as error:  # each storage raises its own
                raise BackupFailed(
                    f"File {member.name} can't be stored: {error}"
                ) from error


def _store(name: str, content: "File[Any]", size: int) -> None:
    """A name is random, so a file that has it is the same one, or a part that was stored when something failed."""
    if storage().exists(name):
        if storage().size(name) == size:
            return
        storage().delete(name)
    storage().save(name, content)
