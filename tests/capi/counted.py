"""Log rows at given moments, and their counts."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from capi.models import ConversionEvent, ConversionRule, CountedLog, DayCount
from capi.services.statistics import refresh_counts
from crm.models import Company


def record(
    rule: ConversionRule, state: str, at: datetime | None = None, **fields: Any
) -> ConversionEvent:
    """Add an event to the log as recorded at this moment. Call it in chronological order, as the log is written."""
    moment = at or timezone.now()
    if state == "accepted":
        fields.setdefault("settled_at", moment + timedelta(seconds=1))
    return ConversionEvent.objects.create(
        company_id=rule.company_id,
        rule=rule,
        state=state,
        created_at=moment,
        happened_at=moment,
        **fields,
    )


def count_now() -> None:
    """Count the log, as a worker does every half a minute."""
    CountedLog.objects.update(claimed_at=None)
    refresh_counts()


def counts(company: Company) -> Counter[tuple[str, str, str]]:
    """Day, state and reason of all that is counted."""
    found: Counter[tuple[str, str, str]] = Counter()
    for row in DayCount.objects.for_company(company):
        found[row.day.isoformat(), row.state, row.reason] += row.count
    return found
