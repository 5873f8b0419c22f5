"""What came back from one request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class TransportError(StrEnum):
    """Why an answer can't be taken as it stands."""

    TIMED_OUT = "timed_out"  # the time for the whole exchange was up
    UNREACHABLE = "unreachable"  # refused, no such host, TLS, or broken off before the answer's first byte
    CUT = "cut"  # the answer broke off, or its framing or encoding can't be read
    TOO_LARGE = "too_large"  # more than MAX_BODY_BYTES
    REDIRECT = "redirect"  # a 3xx, which is never followed


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Its repr shows no body and no headers, for these may echo what was sent.

    `status` is None where status line and headers did not come whole or the body broke off; it is kept for REDIRECT
    and TOO_LARGE. `headers` have lower-case names; `body` is at most 1 MB and empty when there was trouble.
    """

    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    trouble: TransportError | None
    duration_ms: int
