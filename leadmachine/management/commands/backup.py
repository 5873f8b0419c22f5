"""`manage.py backup FOLDER`: back up the database and the files of leads, deals and notes."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from leadmachine.backups import making, row_counts
from leadmachine.backups.contents import BackupFailed


class Command(BaseCommand):
    help = (
        "Back up the database and the files of leads, deals and notes into a new folder in FOLDER. The settings, with "
        "all keys, are not in it. LeadMachine may run meanwhile. Old backups are not deleted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER")

    def handle(self, *, folder: Path, **options: Any) -> None:
        try:
            backup, manifest = making.make(folder)
        except BackupFailed as error:
            raise CommandError(f"No backup was made. {error}") from error
        self.stdout.write(
            f"{backup} is complete: {row_counts.total(manifest.rows):,} rows and {manifest.files:,} files."
        )
        if manifest.missing_files:
            self.stdout.write(
                f"Files that are not in it: {manifest.missing_files:,}. Someone deleted them meanwhile, or the "
                "storage has lost them. The log names them."
            )
