"""The log lines about requests to LinkedIn: ids and counts, never a name or an address.

A request's number is the id of its `Attempt`. Recent Events shows it, and lists the request's events by it.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from capi.delivery.settle import EventUpdate
from capi.models import Attempt

logger = logging.getLogger(__name__)

# Of 10 bytes each: journald and Docker cut a line of 48 or 16 KB in two.
EVENT_IDS_PER_LINE: Final = 500
# Base64 of 16 or 18 bytes so far. A SHA-256 is longer, and an address has an @.
_IS_ID: Final = re.compile(r"[A-Za-z0-9+/=_:-]{1,40}")


def linkedin_id(headers: Mapping[str, str]) -> str:
    """LinkedIn's own id of a request, from the answer's headers (with names in lower case); "" without one."""
    # What LinkedIn's support needs: learn.microsoft.com, "Error handling", 500 Internal Server Error.
    value = next(
        (headers[name] for name in ("x-li-uuid", "x-li-request-id") if name in headers),
        "",
    )
    return value if _IS_ID.fullmatch(value) else ""


def log_request(
    attempt: Attempt, updates: Iterable[EventUpdate], *, linkedin_id: str = ""
) -> None:
    """Log one line about a request: its company and rule, the answer, and how many events had which outcome."""
    updates = list(updates)
    counts = _counts(updates)
    counts["undecided"] = attempt.event_count - counts.total()
    logger.info(
        "Request %s for company %s, rule %s: %s in %s ms; %s: %s.%s",
        attempt.pk,
        attempt.company_id,
        attempt.rule_id,
        f"HTTP {attempt.http_status}" if attempt.http_status else "no answer",
        attempt.duration_ms,
        _events(attempt.event_count),
        _listed(counts),
        f" LinkedIn's number: {linkedin_id}." if linkedin_id else "",
        extra=_keys(attempt, updates),
    )


def log_refused(attempt: Attempt, update: EventUpdate) -> None:
    """Log one line about events of a request that later requests showed to be the reason why it was rejected."""
    counts = _counts([update])
    logger.info(
        "Request %s for company %s, rule %s; %s found to be the cause: %s.",
        attempt.pk,
        attempt.company_id,
        attempt.rule_id,
        _events(counts.total()),
        _listed(counts),
        extra=_keys(attempt, [update]),
    )


def log_limit(company_id: int, body_bytes: int, body_limit: int | None) -> None:
    """Log one line about a request that was too large, and the limit that the next ones have."""
    logger.warning(
        "LinkedIn rejected a request of company %s with 413, because it had %s bytes. The next have at most %s bytes, "
        "and twice as many after each that LinkedIn accepts.",
        company_id,
        f"{body_bytes:,}",
        f"{body_limit:,}",
        extra={"company_id": company_id},
    )


def _keys(
    attempt: Attempt, updates: Iterable[EventUpdate]
) -> dict[str, int | list[int] | None]:
    """Return the keys for a line in JSON: of the request, and of the first of its events."""
    events = (event.row.pk for update in updates for event in update.events)
    return {
        "company_id": attempt.company_id,
        "rule_id": attempt.rule_id,
        "attempt_id": attempt.pk,
        "event_ids": list(islice(events, EVENT_IDS_PER_LINE)),
    }


def _counts(updates: Iterable[EventUpdate]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for update in updates:
        counts[
            f"{update.state} ({update.reason})" if update.reason else str(update.state)
        ] += len(update.events)
    return counts


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"
