"""`manage.py doctor`: the same checks as on the LinkedIn page, for one company or for all."""

import textwrap
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand

from capi.diagnostics.checkups import examine
from capi.diagnostics.findings import Finding, Level, counted
from crm.management.commands.create_api_key import find_company
from crm.models import Company

LEVEL_WIDTH = max(len(level.label) for level in Level)
SENTENCE_WIDTH = 80


class Command(BaseCommand):
    help = "Check everything that events need to reach LinkedIn. Exits with 1 if something needs fixing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--company",
            metavar="SLUG",
            help="the company's slug; all active companies by default",
        )

    def handle(self, *args: Any, company: str | None, **options: Any) -> None:
        companies = (
            [find_company(company)]
            if company
            else list(Company.objects.filter(is_active=True))
        )
        if not companies:
            self.stdout.write("There are no companies yet.")
        if sum([self._print_findings(each) for each in companies]):
            raise SystemExit(1)

    def _print_findings(self, company: Company) -> int:
        """Print the company's findings. Returns how many need fixing."""
        findings = examine(company)
        counts = counted(findings)
        self.stdout.write(f"{company} ({company.slug}): {counts.sentence}")
        for line in _table(findings):
            self.stdout.write(f"  {line}")
        return counts.red


def _table(findings: Iterable[Finding]) -> Iterable[str]:
    rows = list(findings)
    width = max(len(row.check.label) for row in rows)
    margin = " " * (LEVEL_WIDTH + width + 4)
    for row in rows:
        first, *more = [
            *textwrap.wrap(row.sentence, SENTENCE_WIDTH),
            *textwrap.wrap(row.fix, SENTENCE_WIDTH),
            *map(_url, row.links),
        ]
        yield f"{row.level.label:{LEVEL_WIDTH}}  {row.check.label:{width}}  {first}"
        yield from (margin + line for line in more)


def _url(path: str) -> str:
    """The full URL if SITE_URL is set, otherwise the path."""
    return f"{settings.SITE_URL}{path}" if urlsplit(settings.SITE_URL).netloc else path
