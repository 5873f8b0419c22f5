"""`manage.py upgrade`: migrate the database to this version, and rehearse that on a copy before."""

from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from capi.models import BACKUP, REHEARSAL, Heartbeat
from leadmachine import known_migrations
from leadmachine.backups import row_counts
from leadmachine.backups.contents import BackupFailed
from leadmachine.upgrades import rehearsing
from leadmachine.upgrades.rehearsing import Rehearsal
from leadmachine.upgrades.timing import Lock, Timing

FRESH: Final = timedelta(hours=1)


class Command(BaseCommand):
    help = (
        "Migrate the database to this version, if there is a backup younger than an hour. With --rehearse, only say "
        "how long that takes and what it changes: on a copy, which is removed afterwards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        way = parser.add_mutually_exclusive_group()
        way.add_argument(
            "--rehearse",
            type=Path,
            metavar="BACKUP",
            help="restore this backup into a second database beside yours, and upgrade only that",
        )
        way.add_argument(
            "--without-backup",
            action="store_true",
            help="upgrade even if the last backup is older",
        )

    def handle(
        self, *, rehearse: Path | None, without_backup: bool, **options: Any
    ) -> None:
        if rehearse:
            self._rehearse(rehearse)
        else:
            self._upgrade(without_backup=without_backup)

    def _upgrade(self, *, without_backup: bool) -> None:
        known_migrations.require(connection)
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("The database is up to date.")
            return
        is_new = not executor.loader.applied_migrations
        if not is_new and not without_backup:
            _require_backup()
        call_command("migrate", interactive=False, stdout=self.stdout)

    def _rehearse(self, backup: Path) -> None:
        try:
            rehearsal = rehearsing.rehearse(backup)
        except BackupFailed as error:
            raise CommandError(f"The rehearsal ended early. {error}") from error
        Heartbeat.objects.beat(REHEARSAL)
        for line in _report(rehearsal):
            self.stdout.write(line)


def _require_backup() -> None:
    """Raises CommandError unless one was made within the last hour, by the database's clock."""
    last = Heartbeat.objects.last_of(BACKUP)
    if last and timezone.now() - last < FRESH:
        return
    which = f"The last backup is of {last:%Y-%m-%d %H:%M} UTC" if last else "There is no backup"  # fmt: skip
    raise CommandError(
        f"{which}, so nothing was changed. Make one (manage.py backup FOLDER), and rehearse the upgrade "
        "(manage.py upgrade --rehearse BACKUP). If you back up in another way, say --without-backup."
    )


def _report(rehearsal: Rehearsal) -> Iterable[str]:
    backup = rehearsal.backup
    yield f"Restored into a copy: {row_counts.total(backup.rows):,} rows of {backup.made_at:%Y-%m-%d %H:%M} UTC."
    if not rehearsal.timings:
        yield "There is nothing to migrate."
        return
    yield ""
    yield from _table(rehearsal.timings)
    yield ""
    yield from rehearsal.differences or ["All rows and values are as before."]
    yield "The copy is removed. Your database is as it was."


def _table(timings: list[Timing]) -> Iterable[str]:
    width = max(len(each.migration) for each in timings)
    for each in timings:
        yield f"{each.migration:{width}}  {each.seconds:8.2f} s"
        for lock in each.locks:
            yield f"  {_sentence(lock)}"
    seconds = sum(each.seconds for each in timings)
    yield f"{'together':{width}}  {seconds:8.2f} s"


def _sentence(lock: Lock) -> str:
    others = "reads and writes wait" if lock.blocks_reads else "writes wait"
    return f"{lock.table}: {others} for {lock.seconds:.2f} s"
