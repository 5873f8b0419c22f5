"""What a backup says about itself: the version that made it, its keys by their fingerprints, and its rows."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from leadmachine.backups.contents import MANIFEST, BackupFailed
from leadmachine.backups.row_counts import RowCounts

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """`keys` are fingerprints, newest first. `made_at` is the time of the snapshot, by the database's clock."""

    version: str
    migrations: list[str]
    made_at: datetime
    postgresql: int
    keys: list[str]
    files: int
    missing_files: int
    rows: RowCounts
    format: int = FORMAT

    def write(self, backup: Path) -> None:
        text = json.dumps(asdict(self), indent=1, default=datetime.isoformat)
        (backup / MANIFEST).write_text(text + "\n")


def read(backup: Path) -> Manifest:
    """Return the manifest of a backup whose checksums are right. Raises BackupFailed if this version can't read it."""
    path = backup / MANIFEST
    try:
        content = json.loads(path.read_text())
        if content["format"] == FORMAT:
            return _manifest(content)
        version = content["version"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupFailed(
            f"{path} is not as LeadMachine writes it: {error!r}. Restore another backup."
        ) from error
    raise BackupFailed(
        f"This backup was made by LeadMachine {version}, in a form that this version doesn't know. "
        "Restore it with that version."
    )


def _manifest(content: Any) -> Manifest:
    """Raises one of many errors if a value is missing or is of another type."""
    return Manifest(
        version=str(content["version"]),
        migrations=[str(name) for name in content["migrations"]],
        made_at=datetime.fromisoformat(content["made_at"]),
        postgresql=int(content["postgresql"]),
        keys=[str(key) for key in content["keys"]],
        files=int(content["files"]),
        missing_files=int(content["missing_files"]),
        rows={table: _counts(rows) for table, rows in content["rows"].items()},
    )


def _counts(rows: Any) -> dict[str, int]:
    return {company: int(count) for company, count in rows.items()}
