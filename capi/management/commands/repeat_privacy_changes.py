"""`manage.py repeat_privacy_changes < LOG`: after restoring a backup, repeat the privacy changes made since."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from capi.services.privacy_changes import repeat_all
from crm.models import privacy_log
from crm.models.privacy_log import CutOff


class Command(BaseCommand):
    help = (
        "Repeats the erasures, deletions, opt-outs and cancellations that a restored backup does not have. Reads a log "
        "from standard input: the lines of the privacy log in it count, in any order."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only count what would be repeated"
        )

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        log = (line.decode(errors="replace") for line in sys.stdin.buffer)
        try:
            changes = privacy_log.read(log)
        except CutOff as error:
            raise CommandError(
                f"Nothing was repeated: this line of the log is not complete. {error}"
            ) from None
        if not changes:
            self.stdout.write(
                "There is no privacy change in this log. Check that it goes back to the backup."
            )
            return
        outcomes = list(repeat_all(changes, dry_run=dry_run))
        width = max(len(each.label) for each in outcomes)
        for each in outcomes:
            self.stdout.write(f"{each.label:{width}}  {each.count:>7,}")
        if dry_run:
            self.stdout.write("Dry run: nothing was changed.")
        if problems := [problem for each in outcomes for problem in each.problems]:
            raise CommandError("\n".join(problems))
