"""The parts of a backup, and their checksums in a file that `sha256sum --check` reads, too."""

import hashlib
import os
from pathlib import Path
from typing import Final

DUMP: Final = "database.dump"
FILES: Final = "files.tar"
MANIFEST: Final = "manifest.json"
PARTS: Final = (DUMP, FILES, MANIFEST)
CHECKSUMS: Final = "SHA256SUMS"


class BackupFailed(Exception):
    """Why a backup was not made or not restored, and what to do, for the operator."""


def seal(backup: Path) -> None:
    """Write the checksums of all parts, and everything to the disk."""
    lines = [f"{_checksum(backup / part)}  {part}\n" for part in PARTS]
    (backup / CHECKSUMS).write_text("".join(lines))
    for name in (*PARTS, CHECKSUMS):
        write_to_disk(backup / name)
    write_to_disk(backup)


def verify(backup: Path) -> None:
    """Raise BackupFailed unless each part is there as it was written."""
    try:
        lines = (backup / CHECKSUMS).read_text(errors="replace").splitlines()
        for part in PARTS:
            if f"{_checksum(backup / part)}  {part}" not in lines:
                raise BackupFailed(
                    f"{backup / part} is not as it was written. Restore another backup."
                )
    except OSError as error:
        raise BackupFailed(f"{backup} is no complete backup: {error}.") from error


def write_to_disk(path: Path) -> None:
    """Let a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
