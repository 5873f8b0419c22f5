"""`manage.py backfill --company SLUG --days N`: send past CRM events from the command line."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from capi.delivery.backfill import preview
from capi.models import ConversionRule
from capi.models.choices import BackfillOutcome
from capi.models.functions import database_now
from capi.selectors.explanations.backfills import NO_ACTIVE_RULE
from capi.services import backfills
from crm.models import Company


class Command(BaseCommand):
    help = "Show which past CRM events would be sent and which not, by reason, then start the backfill."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--company", required=True, metavar="SLUG")
        parser.add_argument(
            "--rule",
            type=int,
            metavar="ID",
            help="the rule; all active rules by default",
        )
        parser.add_argument(
            "--days",
            type=int,
            required=True,
            metavar="N",
            help="how many days back, at most 90",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only show what would be sent"
        )

    def handle(
        self,
        *args: Any,
        company: str,
        rule: int | None,
        days: int,
        dry_run: bool = False,
        **options: Any,
    ) -> None:
        if not 1 <= days <= settings.EVENT_MAX_AGE_DAYS:
            raise CommandError(
                f"--days must be from 1 to {settings.EVENT_MAX_AGE_DAYS}: LinkedIn accepts no older events."
            )
        until = database_now()
        since = until - timedelta(days=days)
        for each in _rules(company, rule):
            self.stdout.write(
                f"{each} (rule {each.pk}, {each.get_crm_event_display()}):"
            )
            counts = preview(each, since=since, until=until)
            for outcome in BackfillOutcome:
                self.stdout.write(f"  {outcome.label:24} {counts[outcome]:>9,}")
            self.stdout.write(f"  {'CRM events':24} {counts.total():>9,}")
            if not dry_run:
                self._start(each, since=since, until=until)

    def _start(self, rule: ConversionRule, **period: Any) -> None:
        try:
            backfill = backfills.start(rule=rule, **period)
        except ValidationError as error:
            self.stdout.write(f"Not started. {' '.join(error.messages)}")
        else:
            self.stdout.write(
                f"{backfill} started. Workers send it, or `manage.py deliver` if none is running."
            )


def _rules(slug: str, pk: int | None) -> list[ConversionRule]:
    company = Company.objects.filter(slug=slug).first()
    if company is None:
        raise CommandError(f"There is no company {slug!r}.")
    rules = ConversionRule.objects.for_company(company)
    selected = list(rules.active() if pk is None else rules.filter(pk=pk))
    if not selected and pk is None:
        raise CommandError(
            f"{company}: {NO_ACTIVE_RULE.what} {NO_ACTIVE_RULE.next_step}"
        )
    if not selected:
        raise CommandError(f"{company} has no rule {pk}.")
    return selected
