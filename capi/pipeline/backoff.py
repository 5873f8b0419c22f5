"""When to try again. All durations are settings; the design's are 30 s, 2 min, 10 min … 6 h, for three days."""

import random
from datetime import datetime, time, timedelta

from django.conf import settings

JITTER = 0.2
DAY_HOLD_JITTER_SECONDS = 600.0
THROTTLES_BEFORE_MIDNIGHT = 5
FAILURES_BEFORE_BREAKER = 5
LONGEST_THROTTLE_SECONDS = 900.0


def retry_delay(tries: int, *, at_least: float | None = None) -> timedelta | None:
    """How long to wait after the try number `tries` (1 is the first), or None if that was the last.

    `at_least` is LinkedIn's own wish in seconds (Retry-After), honoured up to a day.
    """
    delays = _delays(tries)
    # Also where each wait fell short by the whole jitter, the window has been waited for.
    if sum(delays[:-1]) * (1 - JITTER) >= settings.RETRY_WINDOW_SECONDS:
        return None
    return timedelta(seconds=max(_spread(delays[-1]), _wish(at_least)))


def lane_rest(failures: int) -> timedelta:
    """How long the lane rests after a passing failure; ten times longer once several came in a row."""
    factor = 10 if failures + 1 >= FAILURES_BEFORE_BREAKER else 1
    return timedelta(seconds=_spread(settings.LANE_REST_SECONDS * factor))


def throttle_end(now: datetime, failures: int, *, at_least: float | None, until_midnight: bool) -> datetime:
    """Until when a throttled lane rests (linkedin-capi: daily limits are reset at midnight UTC)."""
    if until_midnight or failures + 1 >= THROTTLES_BEFORE_MIDNIGHT:
        midnight = datetime.combine(now.date() + timedelta(days=1), time.min, tzinfo=now.tzinfo)
        return midnight + timedelta(seconds=random.uniform(0, DAY_HOLD_JITTER_SECONDS))  # noqa: S311 - no secret
    grown = min(settings.THROTTLE_SECONDS * 2**failures, LONGEST_THROTTLE_SECONDS)
    return now + timedelta(seconds=max(_spread(grown), _wish(at_least)))


def _delays(tries: int) -> list[float]:
    known = settings.RETRY_SECONDS
    return [known[n] if n < len(known) else settings.RETRY_LAST_SECONDS for n in range(tries)]


def _spread(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


def _wish(at_least: float | None) -> float:
    return min(at_least or 0.0, settings.RETRY_AFTER_MAX_SECONDS)
