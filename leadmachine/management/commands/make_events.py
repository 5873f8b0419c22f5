"""`manage.py make_events --company SLUG --count N`: create a log of N finished events, to measure pages with it."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from capi.models import ConversionEvent, ConversionRule
from crm.models import Company, CrmEvent, Lead

CHUNK = 200_000
DAYS = 90

# Numbers are formatted into the SQL: none is user input, and a parameter would need one type wherever it is used.
CRM_EVENTS = """
INSERT INTO {crm_event} (company_id, kind, lead_id, occurred_at, currency, public_id)
SELECT {company}, 'lead_created', leads.ids[1 + number % array_length(leads.ids, 1)],
       now() - interval '{days} days' * (1 - number::float / {total}), '', gen_random_uuid()
FROM generate_series({first}, {last}) AS number,
     (SELECT array_agg(id) AS ids FROM (SELECT id FROM {lead} WHERE company_id = {company} LIMIT 9999) AS s) AS leads
RETURNING id, lead_id, occurred_at, public_id, id % 50 = 0 AS is_bad
"""
EVENTS = """
WITH made AS ({crm_events})
INSERT INTO {event} (company_id, rule_id, crm_event_id, lead_id, event_id, happened_at, state, reason, http_status,
                     message, attempts, is_test, created_at, settled_at)
SELECT {company}, {rule}, id, lead_id, 'lm-' || replace(public_id::text, '-', '') || '-{rule}', occurred_at,
       CASE WHEN is_bad THEN 'rejected' ELSE 'accepted' END, CASE WHEN is_bad THEN 'data_refused' ELSE '' END,
       CASE WHEN is_bad THEN 422 ELSE 201 END, '', 1, false, occurred_at, occurred_at + interval '1 second'
FROM made ORDER BY id
"""


class Command(BaseCommand):
    help = "Fill a company's event log with finished events, for measuring. Development only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--company",
            required=True,
            help="the company's slug; it needs a rule and a lead",
        )
        parser.add_argument("--count", type=int, required=True)

    def handle(self, *args: Any, company: str, count: int, **options: Any) -> None:
        if not (settings.DEBUG or settings.LINKEDIN_SANDBOX):
            raise CommandError(
                "make_events is for measuring. It needs DEBUG or LINKEDIN_SANDBOX on."
            )
        owner = Company.objects.filter(slug=company).first()
        rule = ConversionRule.objects.filter(company=owner).first()
        if owner is None or rule is None or not owner.leads.exists():
            raise CommandError(
                f"There is no company {company!r} with a rule and a lead."
            )
        for first in range(0, count, CHUNK):
            last = min(first + CHUNK, count) - 1
            _make(
                {
                    "company": owner.pk,
                    "rule": rule.pk,
                    "total": count,
                    "first": first,
                    "last": last,
                }
            )
            self.stdout.write(f"{last + 1:,} of {count:,}")


def _make(numbers: dict[str, int]) -> None:
    tables = {
        "crm_event": CrmEvent._meta.db_table,
        "lead": Lead._meta.db_table,
        "event": ConversionEvent._meta.db_table,
    }
    values = {**numbers, **tables, "days": DAYS - 1}
    with connection.cursor() as cursor:
        cursor.execute(EVENTS.format(crm_events=CRM_EVENTS.format(**values), **values))
