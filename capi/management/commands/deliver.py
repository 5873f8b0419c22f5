"""`manage.py deliver`: run every company's lane manually, without Celery."""

import time
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count

from capi.delivery import sweep
from capi.delivery.deliver import deliver
from capi.delivery.sending import DeliveryResult
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason
from crm.models import Company


class Command(BaseCommand):
    help = "Send every company's due events, without Celery, then print the outcomes."

    def handle(self, *args: Any, **options: Any) -> None:
        sweep.tidy()
        total = DeliveryResult()
        while sum(
            self._deliver(company_id, total) for company_id in sweep.due_companies()
        ):
            pass
        self._print(total.states, "Sent nothing: no event was due.")
        self.stdout.write(
            f"{total.requests} request{'' if total.requests == 1 else 's'} to LinkedIn."
        )
        self._print(held(), "Nothing is on hold.", heading="On hold:")

    def _deliver(self, company_id: int, total: DeliveryResult) -> bool:
        """Run one turn. Returns False if it did nothing, so that a blocked lane ends the loop."""
        result = deliver(company_id)
        total.states.update(result.states)
        total.requests += result.requests
        if result.more_in:
            # The request budget is used up, and nothing else is waiting for this
            # process.
            time.sleep(result.more_in)
        return bool(result.states or result.requests or result.more_in)

    def _print(
        self, counts: Counter[str], otherwise: str, *, heading: str = ""
    ) -> None:
        if not counts:
            self.stdout.write(otherwise)
            return
        if heading:
            self.stdout.write(heading)
        width = max(map(len, counts))
        for name, count in sorted(counts.items()):
            self.stdout.write(f"{name:{width}}  {count:>7,}")


def held() -> Counter[str]:
    """The number of events on hold, by company and reason."""
    counts: Counter[str] = Counter()
    for company in Company.objects.select_related("linkedin_connection"):
        connection: Connection | None = getattr(company, "linkedin_connection", None)
        events = (
            ConversionEvent.objects.for_company(company).on_hold(connection).order_by()
        )
        for rule_reason, count in events.values_list("rule__paused_reason").annotate(
            count=Count("pk")
        ):
            counts[f"{company.slug}: {_reason(connection, rule_reason).label}"] += count
    return counts


def _reason(connection: Connection | None, rule_reason: str) -> Reason:
    if connection is None or not connection.has_token:
        return Reason.NO_TOKEN
    return Reason(connection.paused_reason or rule_reason)
