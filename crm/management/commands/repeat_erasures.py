"""`manage.py repeat_erasures < LOG`: after restoring a backup, repeat the erasures made since it was taken."""

import sys
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management import BaseCommand, CommandError

from crm.services.erasure import erase_lead, erased_earlier

MERGED: Final = (
    "Lead {lead.pk} of company {lead.company_id} was NOT erased: in this backup it is merged into lead {kept}, which "
    "holds most of this person's data. Erase lead {kept}, or undo the merge and run this again."
)


class Command(BaseCommand):
    help = "Erases the people again whom a restored backup has brought back. Reads a log from standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say who would be erased")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        outcome, is_anyone_back = "would be" if dry_run else "was", False
        merged: list[str] = []
        for lead in erased_earlier(sys.stdin):
            is_anyone_back = True
            if lead.merged_into_id is not None:
                merged.append(MERGED.format(lead=lead, kept=lead.merged_into_id))
                continue
            self.stdout.write(f"Lead {lead.pk} of company {lead.company_id} {outcome} erased.")
            if not dry_run:
                erase_lead(lead=lead)
        if not is_anyone_back:
            self.stdout.write("No one has to be erased again.")
        if merged:
            raise CommandError("\n".join(merged))
