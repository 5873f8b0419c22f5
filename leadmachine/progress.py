"""Whether conversions get to LinkedIn: what `/progressz` answers, with a sentence for each thing that holds them up.

Each process may be alive and ready while nothing moves. What is asked here is what came of their work.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Final

import redis
from django.conf import settings
from django.core.mail import get_connection
from django.db import Error
from django.utils import timezone

from capi.models import SWEEP
from capi.models.choices import Reason, RestCause
from capi.models.functions import database_now
from capi.selectors import metrics as of_conversions
from crm.selectors import metrics as of_crm

SLOW_SECONDS: Final = 2
# What workers, web servers and the database may differ by: expiry times and the log of one are read by another.
CLOCKS_MAY_DIFFER_BY: Final = timedelta(seconds=30)

TROUBLES: Final[Mapping[str, str]] = {
    RestCause.TROUBLE: "LinkedIn can't be reached, or answers with server errors only.",
    RestCause.UNCLEAR: "Something on the way answers instead of LinkedIn.",
}
# By state and reason, as `metrics.lanes` counts them.
HELD: Final = {
    (
        "paused",
        Reason.VERSION_RETIRED,
    ): "LinkedIn has retired LINKEDIN_API_VERSION: all sending is on hold.",
    (
        "paused",
        Reason.ALL_PAUSED,
    ): "All sending is paused, until manage.py resume_sending.",
    (
        "held_back",
        "",
    ): "Nothing is sent from a restored or copied database, until manage.py resume_sending.",
}


def problems() -> list[str]:
    """Return what keeps conversions, or mails, from being sent. Empty if they get through, or none is due."""
    try:
        return [*_of_broker(), *_of_database()]
    except Error:
        return ["The database can't be reached, or did not answer in time."]


def _of_broker() -> Iterator[str]:
    if not settings.REDIS_URL:
        return
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=SLOW_SECONDS,
            socket_connect_timeout=SLOW_SECONDS,
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError, TypeError):  # the last two: of an odd URL
        yield "Redis does not answer. Workers send what is due by themselves, but later than usual."


def _of_database() -> Iterator[str]:
    asked = time.monotonic()
    now = database_now()
    seconds = time.monotonic() - asked
    if seconds > SLOW_SECONDS:
        yield f"The database took {seconds:.0f} seconds for its first answer."
    if abs(timezone.now() - now) > CLOCKS_MAY_DIFFER_BY:
        yield "The clocks of this machine and of the database differ by more than 30 seconds."
    yield from _of_workers(now)
    yield from _of_events(now)
    yield from _of_mails(now)


def _of_workers(now: datetime) -> Iterator[str]:
    if _is_late(of_conversions.beats().get(SWEEP), now, never_is_late=True):
        yield "No worker has checked for due events lately: is one running?"


def _of_events(now: datetime) -> Iterator[str]:
    since = now - _patience()
    if not of_conversions.has_sent_since(since):
        if _is_late(of_conversions.oldest_due(), now):
            yield "Events are due, and none of them has been sent lately."
        causes = of_conversions.troubles_since(since)
        yield from (TROUBLES[cause] for cause in sorted(causes))
    lanes = of_conversions.lanes()
    yield from (sentence for lane, sentence in HELD.items() if lanes.get(lane))


def _of_mails(now: datetime) -> Iterator[str]:
    oldest = (of_crm.mails_due()[1], of_conversions.mails_due()[1])
    # A single mail may also be late because its recipient's server keeps refusing it.
    if any(_is_late(written_at, now) for written_at in oldest) and not _mail_answers():
        yield "Mails wait, because the mail server does not answer."


def _mail_answers() -> bool:
    server = get_connection(timeout=SLOW_SECONDS)
    try:
        server.open()
        server.close()
    except (OSError, SMTPException):
        return False
    return True


def _patience() -> timedelta:
    return timedelta(seconds=settings.PROGRESS_SECONDS)


def _is_late(
    since: datetime | None, now: datetime, *, never_is_late: bool = False
) -> bool:
    if since is None:
        return never_is_late
    return now - since > _patience()
