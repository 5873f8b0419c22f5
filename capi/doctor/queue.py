"""What has not gone out: events on hold and how long they can be, and events whose turn it is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, F, Min
from django.urls import reverse
from django.utils import dateformat, timezone

from capi.doctor.findings import Check, Finding, Level
from capi.models import Connection, ConversionEvent
from capi.pipeline.lane import rules_with_due_events

HURRY_DAYS: Final = 7  # before the first event on hold is too old for LinkedIn
SLOW_AFTER, STUCK_AFTER = timedelta(minutes=5), timedelta(hours=1)


def findings(company_id: int, connection: Connection | None, now: datetime) -> Iterator[Finding]:
    yield _on_hold(company_id, connection, now)
    yield _due(company_id, connection, now)


def _on_hold(company_id: int, connection: Connection | None, now: datetime) -> Finding:
    held = ConversionEvent.objects.for_company(company_id).pending().counted().order_by()
    if connection is not None and connection.is_sending:
        held = held.filter(rule__is_paused=True)
    found = held.aggregate(count=Count("pk"), oldest=Min("happened_at"))
    if not found["count"]:
        return Finding(Check.ON_HOLD, Level.GREEN, "None.")
    ends_at = found["oldest"] + timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    level = Level.RED if ends_at - now < timedelta(days=HURRY_DAYS) else Level.AMBER
    sentence = f"{_events(found['count'])} on hold. {_countdown(ends_at, now)}"
    mend = "Mend what holds them: see above. They then go out by themselves, oldest first."
    return Finding(Check.ON_HOLD, level, sentence, mend, f"{reverse('events')}?state=on_hold")


def _countdown(ends_at: datetime, now: datetime) -> str:
    days = (ends_at - now).days
    day = dateformat.format(timezone.localtime(ends_at), "j F")
    left = f"in {days} day{'' if days == 1 else 's'}" if days > 0 else "within a day" if ends_at > now else "now"
    return (
        f"The first of them turns {settings.EVENT_MAX_AGE_DAYS} days {left}, on {day}: LinkedIn then takes it no more."
    )


def _due(company_id: int, connection: Connection | None, now: datetime) -> Finding:
    link = reverse("events")
    if connection is None or not connection.is_sending:
        return Finding(Check.DUE, Level.GREEN, "None: while nothing is sent, events are on hold.", link=link)
    since = rules_with_due_events().filter(company=company_id).aggregate(since=Min(F("oldest")))["since"]
    waits = now - since if since is not None else timedelta()
    if waits < SLOW_AFTER:
        return Finding(Check.DUE, Level.GREEN, "None has waited for longer than five minutes.", link=link)
    rests_until = connection.next_attempt_at
    if rests_until is not None and rests_until > now:
        until = dateformat.format(timezone.localtime(rests_until), "j M, H:i")
        return Finding(Check.DUE, Level.AMBER, f"They wait: sending rests until {until}, as LinkedIn asked.", link=link)
    level = Level.RED if waits >= STUCK_AFTER else Level.AMBER
    sentence = f"The oldest has been due for {_long(waits)}, and no worker has sent it."
    return Finding(Check.DUE, level, sentence, "Ask whoever runs LeadMachine whether a worker runs.", link)


def _events(count: int) -> str:
    return f"{count:,} event{' is' if count == 1 else 's are'}"


def _long(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
