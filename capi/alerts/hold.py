"""Whether the first event on hold comes near the age beyond which LinkedIn takes it no more."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Min

from capi.alerts.conditions import Condition
from capi.models import Connection, ConversionEvent
from capi.reads.on_hold import LOOK_AT
from capi.reasons import AlertKind

DAYS: Final = (3, 14)


def hold_ending(connection: Connection, *, now: datetime) -> Iterator[Condition]:
    """The condition that an event on hold has 14 days left, or 3, until it is too old."""
    oldest = _oldest_on_hold(connection)
    if oldest is None:
        return
    ends_at = oldest + timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    stage = next((days for days in DAYS if (ends_at - now).days <= days), None)
    if stage is not None:
        yield Condition(AlertKind.HOLD_ENDING, stage=stage, facts={"on": ends_at.date().isoformat()})


def _oldest_on_hold(connection: Connection) -> datetime | None:
    pending = ConversionEvent.objects.for_company(connection.company_id).pending().counted()
    held = pending.filter(rule__is_paused=True) if connection.is_sending else pending
    first = held.order_by("pk").values("happened_at")[:LOOK_AT].aggregate(oldest=Min("happened_at"))
    oldest: datetime | None = first["oldest"]
    return oldest
