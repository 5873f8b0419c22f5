"""What the process's log says of each request to LinkedIn: ids and counts, never a name or an address.

The number of the request is that of its `Attempt`. Recent Events shows it, and lists its events by it.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from capi.models import Attempt

if TYPE_CHECKING:
    from capi.delivery.settle import EventUpdate

logger = logging.getLogger(__name__)

# What LinkedIn's support asks for: learn.microsoft.com, "Error handling", 500 Internal Server Error.
NUMBERED_BY: Final = ("x-li-uuid", "x-li-request-id")
# Base64 of 16 or 18 bytes as seen. A SHA-256 is longer, and an address has an @.
_IS_NUMBER: Final = re.compile(r"[A-Za-z0-9+/=_:-]{1,40}")


def linkedin_id(headers: Mapping[str, str]) -> str:
    """LinkedIn's own number of a request, from the answer's headers (with names in lower case); "" without one."""
    number = next((headers[name] for name in NUMBERED_BY if name in headers), "")
    return number if _IS_NUMBER.fullmatch(number) else ""


def log_request(attempt: Attempt, fates: Iterable["EventUpdate"], *, linkedin_id: str = "") -> None:
    """One line on a request: whose, what came back, and what became of how many events."""
    counts = _counts(fates)
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
    )


def log_refused(attempt: Attempt, fates: Iterable["EventUpdate"]) -> None:
    """One line on what became of those events of a request that later requests showed to be the refused ones."""
    counts = _counts(fates)
    logger.info(
        "Request %s for company %s, rule %s; %s of those refused: %s.",
        attempt.pk,
        attempt.company_id,
        attempt.rule_id,
        _events(counts.total()),
        _listed(counts),
    )


def _counts(fates: Iterable["EventUpdate"]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for fate in fates:
        counts[f"{fate.state} ({fate.reason})" if fate.reason else str(fate.state)] += len(fate.events)
    return counts


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"
