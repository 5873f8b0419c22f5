"""What a backup says about itself: the version that made it, its keys by their fingerprints, and its rows."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

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
    """Return the manifest of a backup whose checksums are right. Raises BackupFailed if it is of a later kind."""
    content = json.loads((backup / MANIFEST).read_text())
    if content["format"] != FORMAT:
        raise BackupFailed(
            f"This backup was made by LeadMachine {content['version']}, in a form that this version doesn't know. "
            "Restore it with that version."
        )
    made_at = datetime.fromisoformat(content["made_at"])
    return Manifest(**{**content, "made_at": made_at})
