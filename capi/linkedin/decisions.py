"""What came back from one request, and what it can mean for the events that were in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# --- What came back from one request.


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


# --- What an answer can mean for the events that were in the request.


@dataclass(frozen=True, slots=True)
class Accepted:
    """LinkedIn took every element."""


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class ElementResult:
    """What became of one element. `status` is its own, if it had a readable one; `message` is masked."""

    verdict: Verdict
    status: int | None
    message: str


@dataclass(frozen=True, slots=True)
class PerElement:
    """Each element has its own result, in the order of the request."""

    results: tuple[ElementResult, ...]


@dataclass(frozen=True, slots=True)
class RefusedNamed:
    """Nothing was taken, because of these elements: their index, and why (masked, at most 2,000 characters)."""

    reasons: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class RefusedUnnamed:
    """Nothing was taken, because of some elements that were not named: halve. Never for a single element."""

    message: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Nothing was taken, because the body was too large: send half as many bytes. Never for a single element."""


@dataclass(frozen=True, slots=True)
class PauseRule:
    """Hold the rule's events until a person has looked; `reason` is a value of `choices.Reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class PauseConnection:
    """Hold all of the company's events until there is a new token; `reason` is a value of `choices.Reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class VersionRetired:
    """LinkedIn no longer serves our API version: hold everything, for every company."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many requests. `retry_after` is LinkedIn's wish in seconds; the day's quota is back at 00:00 UTC."""

    retry_after: float | None
    until_midnight: bool


@dataclass(frozen=True, slots=True)
class TryLater:
    """The outcome is unknown or may change: send the same again. `reason` is a value of `choices.Reason`."""

    reason: str
    retry_after: float | None = None


Decision = (
    Accepted
    | PerElement
    | RefusedNamed
    | RefusedUnnamed
    | TooLarge
    | PauseRule
    | PauseConnection
    | VersionRetired
    | Throttled
    | TryLater
)
