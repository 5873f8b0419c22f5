"""How long LinkedIn asks us to wait."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_IS_SECONDS = re.compile(r"[0-9]{1,10}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, given as seconds or as an HTTP date; None without one that makes sense.

    A date counts from the answer's own `Date`, so that a wrong clock here doesn't matter. LinkedIn documents no
    Retry-After at all, and there is no upper limit here: the caller has one.
    """
    value = headers.get("retry-after", "").strip()
    if _IS_SECONDS.fullmatch(value):
        return float(value)
    until = _moment(value)
    if until is None:
        return None
    seconds = (until - (_moment(headers.get("date", "")) or datetime.now(UTC))).total_seconds()
    return seconds if seconds >= 0 else None


def _moment(http_date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
