"""`manage.py repeat_privacy_changes < LOG`: after restoring a backup, repeat the privacy changes made since."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.management import BaseCommand, CommandError
from django.core.management.base import OutputWrapper

from capi.services.privacy_changes import repeat_all
from crm.models import privacy_log
from crm.models.privacy_log import CutOff, PrivacyChange, Subject
from crm.services.privacy_changes import Outcome

NO_CHANGE: Final = (
    "There is no privacy change in this log. Check that it goes back to the backup."
)


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
        changes = read_log(sys.stdin.buffer)
        if not changes:
            self.stdout.write(NO_CHANGE)
            return
        problems = write_outcomes(self.stdout, repeat_all(changes, dry_run=dry_run))
        if dry_run:
            self.stdout.write("Dry run: nothing was changed.")
        if problems:
            raise CommandError("\n".join(problems))


def read_log(lines: Iterable[bytes]) -> Mapping[Subject, PrivacyChange]:
    """Return the privacy changes in this log. Raises CommandError if a line is not complete or is no text."""
    try:
        return privacy_log.read(map(_text, lines))
    except CutOff as error:
        raise CommandError(
            f"Nothing was repeated: this line of the log is not complete. {error}"
        ) from None


def _text(line: bytes) -> str:
    if b"\0" in line:
        raise CommandError(
            "Nothing was repeated: this log is not text. If it is compressed, unpack it before."
        )
    return line.decode(errors="replace")


def write_outcomes(stdout: OutputWrapper, outcomes: Iterable[Outcome]) -> list[str]:
    """Write how often each kind of change was repeated. Returns what could not be, and why."""
    found = list(outcomes)
    width = max(len(each.label) for each in found)
    for each in found:
        stdout.write(f"{each.label:{width}}  {each.count:>7,}")
    return [problem for each in found for problem in each.problems]
