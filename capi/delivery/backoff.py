"""When to retry. All durations are settings; the defaults are 30 s, 2 min, 10 min … 6 h, for three days."""

import random
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.conf import settings

from capi.models.choices import RestCause

JITTER = 0.2
DAY_HOLD_JITTER_SECONDS = 600.0
THROTTLES_BEFORE_MIDNIGHT = 5
FAILURES_BEFORE_BREAKER = 5
UNCLEAR_TRIES = 8  # with the default delays, over about eight hours
LONGEST_THROTTLE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Rest:
    """A time until which a lane sends nothing, and why."""

    until: datetime
    cause: RestCause


def retry_delay(tries: int, *, at_least: float | None = None) -> timedelta | None:
    """How long to wait after this number of tries (1 after the first). None if that was the last.

    `at_least` is LinkedIn's Retry-After in seconds, which is honoured up to a day.
    """
    delays = _delays(tries)
    # The window is over even if the jitter has shortened every wait.
    if sum(delays[:-1]) * (1 - JITTER) >= settings.RETRY_WINDOW_SECONDS:
        return None
    return timedelta(seconds=max(_spread(delays[-1]), _capped(at_least)))


def trouble_rest(
    now: datetime,
    failures: int,
    *,
    retry_after: float | None = None,
    cause: RestCause = RestCause.TROUBLE,
) -> Rest:
    """How long the lane rests after a temporary failure; `failures` counts those just before it.

    As long as LinkedIn's Retry-After. Without one, LANE_REST_SECONDS, and ten times that after several in a row.
    """
    if seconds := _capped(retry_after):
        return Rest(now + timedelta(seconds=seconds), RestCause.ASKED)
    factor = 10 if failures + 1 >= FAILURES_BEFORE_BREAKER else 1
    return Rest(
        now + timedelta(seconds=_spread(settings.LANE_REST_SECONDS * factor)), cause
    )


def throttle_rest(
    now: datetime, throttles: int, *, retry_after: float | None, day_limit: bool
) -> Rest:
    """How long the lane rests after a 429; `throttles` counts those without a Retry-After just before it.

    As long as LinkedIn's Retry-After. Until midnight UTC, when daily limits are reset, only if LinkedIn names the daily
    limit, or has answered 429 five times in a row without a Retry-After. Otherwise THROTTLE_SECONDS, doubled for each
    429 before this one, and 15 minutes at most.
    """
    if seconds := _capped(retry_after):
        return Rest(now + timedelta(seconds=seconds), RestCause.ASKED)
    if day_limit:
        return Rest(_midnight(now), RestCause.DAY_LIMIT)
    if throttles + 1 >= THROTTLES_BEFORE_MIDNIGHT:
        return Rest(_midnight(now), RestCause.THROTTLED_OFTEN)
    seconds = min(settings.THROTTLE_SECONDS * 2**throttles, LONGEST_THROTTLE_SECONDS)
    return Rest(now + timedelta(seconds=_spread(seconds)), RestCause.THROTTLED)


def _midnight(now: datetime) -> datetime:
    midnight = datetime.combine(
        now.date() + timedelta(days=1), time.min, tzinfo=now.tzinfo
    )
    return midnight + timedelta(seconds=random.uniform(0, DAY_HOLD_JITTER_SECONDS))  # noqa: S311 - no secret


def _delays(tries: int) -> list[float]:
    known = settings.RETRY_SECONDS
    return [
        known[n] if n < len(known) else settings.RETRY_LAST_SECONDS
        for n in range(tries)
    ]


def _spread(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


def _capped(at_least: float | None) -> float:
    return min(at_least or 0.0, settings.RETRY_AFTER_MAX_SECONDS)
