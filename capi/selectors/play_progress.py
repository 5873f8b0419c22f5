"""What a pending test event waits for, from the press of the play button to its result."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from capi.models import SWEEP, Connection, ConversionEvent, Heartbeat
from capi.models.functions import database_now

# Seconds without a response until the page says so, and between its updates.
SILENT_AFTER: Final = 10
MISSED_SWEEPS: Final = 4  # until the workers count as late


@dataclass(frozen=True, slots=True)
class PlayProgress:
    """Two short lines. `key` changes with them, so a page knows whether it shows them already."""

    key: str
    what: str
    more: str
    is_stuck: bool = False


QUEUED: Final = PlayProgress("queued", "Queued", "The result appears here")
ASKING: Final = PlayProgress("asking", "Sending", "The result appears here")


def play_progress(
    event: ConversionEvent, connection: Connection | None
) -> PlayProgress:
    """What this pending test waits for, in at most three queries."""
    now = database_now()
    earlier = _earlier_test(event)
    lane = _leased(connection, now)
    if (
        lane is None
        and now - event.created_at > timedelta(seconds=SILENT_AFTER)
        and not _has_worker(now)
    ):
        return PlayProgress(
            "no-worker",
            "No worker is running",
            "Ask the operator of LeadMachine to start one",
            is_stuck=True,
        )
    if earlier is not None:
        return PlayProgress(
            f"behind-{earlier.pk}",
            f"Waits behind the test of {earlier.rule}",
            "One is sent at a time",
        )
    if lane is None or lane.request_started_at is None:
        return QUEUED
    seconds = (now - max(lane.request_started_at, event.created_at)).total_seconds()
    silent = int(seconds // SILENT_AFTER * SILENT_AFTER)
    if silent < SILENT_AFTER:
        return ASKING
    most = f"We wait up to {settings.SEND_TIMEOUT_SECONDS:.0f} s"
    return PlayProgress(
        f"silent-{silent}", f"LinkedIn has not answered for {silent} s", most
    )


def _leased(connection: Connection | None, now: datetime) -> Connection | None:
    """The connection, if a worker sends for it at the moment."""
    if connection is None or connection.leased_until is None:
        return None
    return connection if connection.leased_until > now else None


def _earlier_test(event: ConversionEvent) -> ConversionEvent | None:
    """The test of another rule that is sent before this one, None if there is none."""
    tests = (
        ConversionEvent.objects.for_company(event.company_id)
        .pending()
        .filter(is_test=True, pk__lt=event.pk)
    )
    return (
        tests.exclude(rule=event.rule_id).select_related("rule").order_by("pk").first()
    )


def _has_worker(now: datetime) -> bool:
    """True if a worker has made a sweep recently."""
    last = Heartbeat.objects.last_of(SWEEP)
    return last is not None and now - last < MISSED_SWEEPS * timedelta(
        seconds=settings.SWEEP_SECONDS
    )
