"""The workers, seen by the rounds that they make."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import dateformat, timezone

from capi.doctor.findings import Check, Finding, Level, help_on
from capi.models import SWEEP, Heartbeat

MISSED_ROUNDS: Final = 4
GONE_AFTER: Final = timedelta(minutes=15)
MEND: Final = "Ask whoever runs LeadMachine to start one. Nothing is lost meanwhile."


def findings(now: datetime) -> Iterator[Finding]:
    link = help_on("what-if-no-worker-runs")
    last = Heartbeat.objects.last_of(SWEEP)
    if last is None:
        yield Finding(Check.SWEEP, Level.RED, "No worker has ever looked for events to send.", MEND, link)
        return
    at = dateformat.format(timezone.localtime(last), "j M, H:i:s")
    if now - last >= GONE_AFTER:
        yield Finding(Check.SWEEP, Level.RED, f"No worker has looked for events to send since {at}.", MEND, link)
    elif now - last >= MISSED_ROUNDS * timedelta(seconds=settings.SWEEP_SECONDS):
        yield Finding(Check.SWEEP, Level.AMBER, f"The workers are late: the last round was on {at}.", MEND, link)
    else:
        yield Finding(Check.SWEEP, Level.GREEN, f"The last round for events to send was on {at}.", link=link)
