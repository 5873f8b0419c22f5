"""The answer to one request, and the decisions that it can lead to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class TransportError(StrEnum):
    """Why there is no usable answer."""

    TIMED_OUT = "timed_out"  # the whole exchange took too long
    # Refused, no such host, TLS, or closed before the answer's first byte.
    UNREACHABLE = "unreachable"
    CUT = "cut"  # the answer was cut off, or its framing or encoding can't be read
    TOO_LARGE = "too_large"  # more than MAX_BODY_BYTES
    REDIRECT = "redirect"  # a 3xx, which is never followed


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Its repr shows neither body nor headers, as these may echo what was sent.

    `status` is None if the status line, the headers or the body did not arrive whole; it is kept for REDIRECT and
    TOO_LARGE. `headers` have lower-case names. `body` is at most 1 MB, and empty if there is a `trouble`.
    """

    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    trouble: TransportError | None
    duration_ms: int
    was_sent: bool = True  # False if not even the first byte of the request has left


@dataclass(frozen=True, slots=True)
class Accepted:
    """LinkedIn accepted every element."""


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class ElementResult:
    """LinkedIn's result for one element. `status` is the element's own, if it has one; `message` is masked."""

    verdict: Verdict
    status: int | None
    message: str


@dataclass(frozen=True, slots=True)
class PerElement:
    """Each element has its own result, in the order of the request."""

    results: tuple[ElementResult, ...]


@dataclass(frozen=True, slots=True)
class RefusedNamed:
    """Nothing was accepted, because of these elements: index and reason (masked, at most 2,000 characters)."""

    reasons: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class RefusedUnnamed:
    """Nothing was accepted, because of elements that were not named: halve the batch. Never for a single element."""

    message: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Nothing was accepted, because the body was too large: send half of it. Never for a single element."""


@dataclass(frozen=True, slots=True)
class PauseRule:
    """Pause the rule until a person has checked it; `reason` is a value of `choices.Reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class PauseConnection:
    """Pause the connection until there is a new token; `reason` is a value of `choices.Reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class VersionRetired:
    """LinkedIn no longer serves our API version: pause every company's connection."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many requests. `retry_after` is in seconds. `until_midnight`: the daily limit is reached, until 00:00 UTC."""

    retry_after: float | None
    until_midnight: bool


@dataclass(frozen=True, slots=True)
class TryLater:
    """The result may change: send the same again later. `reason` is a value of `choices.Reason`.

    `is_unknown`: LinkedIn may have accepted what was sent.
    """

    reason: str
    retry_after: float | None = None
    is_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """Not LinkedIn's answer, but that of something in between: it decides nothing. Send the same again a few times.

    `is_unknown`: it is a success, so LinkedIn may have accepted what was sent.
    """

    is_unknown: bool = False


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
    | Unclear
)
