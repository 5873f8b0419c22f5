"""Where attached files are stored: in Django's storage named `attachments` in the settings. Local disk by default.

A file's name is the day on which it was stored and a random part: it says nothing about a person or a company, and no
file overwrites another. A file is reachable only by the row that has its name (`crm.models.attachment`): a sweep
deletes files without a row.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import uuid4

from django.core.files import File
from django.core.files.storage import Storage, storages

logger = logging.getLogger(__name__)

ALIAS: Final = "attachments"
# No deletions after one failed: a person waits for them, and each may take a whole
# timeout.
REST_SECONDS: Final = 60.0
NOT_STORED: Final = (
    "Nothing was uploaded: the storage for files is full or can't be reached. Try later, or contact the operator of "
    "LeadMachine."
)
NOT_READ: Final = "This file can't be read at the moment. Try again later, or contact the operator of LeadMachine."
LOST: Final = "The storage no longer has this file. Contact the operator of LeadMachine, or delete it here."

_rests_until = 0.0


class StorageFailed(Exception):
    """The storage failed to store or read a file. The message is for people; the log has the reason."""


def storage() -> Storage:
    return storages[ALIAS]


def store(content: "File[Any]") -> str:
    """Store the content, piece by piece. Returns its name there. On failure, discards it and raises StorageFailed."""
    name = f"{datetime.now(UTC).date().isoformat()}/{uuid4().hex}"
    try:
        return storage().save(name, content)
    except Exception as error:  # each storage raises its own
        logger.exception("A file could not be stored.")
        discard(name)
        raise StorageFailed(NOT_STORED) from error


def open_stored(name: str) -> "File[Any]":
    """The file with this name, opened. Raises StorageFailed."""
    try:
        return storage().open(name)
    except FileNotFoundError as error:
        logger.error(
            "The storage has no file %s, although there is a row for it.", name
        )
        raise StorageFailed(LOST) from error
    except Exception as error:
        logger.exception("The file %s could not be read.", name)
        raise StorageFailed(NOT_READ) from error


def delete(name: str) -> None:
    """Delete the file. Raises whatever the storage raises, but nothing if the file doesn't exist."""
    storage().delete(name)


def discard(name: str) -> None:
    """Delete the file if the storage can be reached. The sweep deletes what is left."""
    global _rests_until
    if time.monotonic() < _rests_until:
        return
    try:
        delete(name)
    except Exception:
        _rests_until = time.monotonic() + REST_SECONDS
        logger.exception(
            "The file %s could not be deleted; the daily housekeeping tries again.",
            name,
        )


def folders(*, before: date) -> Iterator[str]:
    """The folders of the days before this one. Raises whatever the storage raises."""
    try:
        found, _ = storage().listdir("")
    except FileNotFoundError:  # nothing has been stored yet
        return
    for folder in sorted(found):
        if (day := _day(folder)) is not None and day < before:
            yield folder


def names_in(folder: str) -> Sequence[str]:
    """The names of the files in a day's folder. Removes the folder if it is empty."""
    _, files = storage().listdir(folder)
    if not files:
        delete(folder)
    return [f"{folder}/{file}" for file in files]


def _day(folder: str) -> date | None:
    try:
        return date.fromisoformat(folder)
    except ValueError:
        return None
