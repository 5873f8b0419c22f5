"""`manage.py restore BACKUP`: restore a backup, and repeat the privacy changes made since."""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from capi.management.commands.repeat_privacy_changes import (
    NO_CHANGE,
    read_log,
    write_outcomes,
)
from capi.management.commands.rotate_token_keys import unreadable_message
from capi.services import key_rotation
from capi.services.privacy_changes import repeat_all
from crm.models.crypto import KeyState, fingerprints
from crm.models.privacy_log import PrivacyChange, Subject
from leadmachine.backups import restoring, row_counts
from leadmachine.backups.contents import BackupFailed
from leadmachine.backups.manifest import Manifest


class Command(BaseCommand):
    help = (
        "Restore what manage.py backup has made into an empty database, and repeat the erasures, deletions, opt-outs "
        "and cancellations of the privacy log. Stop all processes first. Sending stays paused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", type=Path, metavar="BACKUP")
        # One of them: people who were erased or opted out since must not be forgotten.
        log = parser.add_mutually_exclusive_group(required=True)
        log.add_argument(
            "--privacy-log",
            type=Path,
            metavar="FILE",
            help="the log of all processes since the backup",
        )
        log.add_argument(
            "--without-privacy-log",
            action="store_true",
            help="restore also what people have ended since; repeat_privacy_changes can end it later",
        )

    def handle(self, *, backup: Path, privacy_log: Path | None, **options: Any) -> None:
        changes = _read(privacy_log) if privacy_log else {}
        try:
            manifest = restoring.restore(backup)
        except BackupFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Restored as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC: {row_counts.total(manifest.rows):,} rows and "
            f"{manifest.files:,} files."
        )
        problems = write_outcomes(self.stdout, repeat_all(changes)) if changes else []
        if privacy_log is None:
            self.stdout.write(
                "Not repeated: what people have ended since. Do it as soon as the log is at hand: "
                "manage.py repeat_privacy_changes < LOG"
            )
        elif not changes:
            self.stdout.write(NO_CHANGE)
        self._compare_keys(manifest)
        self.stdout.write(
            "Sending is paused. Start the processes, and when all is as it should be: manage.py resume_sending"
        )
        if problems:
            raise CommandError("\n".join(problems))

    def _compare_keys(self, manifest: Manifest) -> None:
        inventory = key_rotation.take_inventory()
        if inventory.count(KeyState.UNREADABLE):
            self.stdout.write(
                f"The keys differ: those of the backup were {', '.join(manifest.keys)}, and LEADMACHINE_TOKEN_KEYS has "
                f"{', '.join(fingerprints())}. {unreadable_message(inventory)}"
            )


def _read(log: Path) -> Mapping[Subject, PrivacyChange]:
    try:
        with log.open("rb") as lines:
            return read_log(lines)
    except OSError as error:
        raise CommandError(f"Nothing was restored: {error}") from error
