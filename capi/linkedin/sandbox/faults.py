"""Faults that a test scripts for the next requests: each takes one from the queue, in order of arrival."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from capi.linkedin.sandbox.messages import Reply, refusal


class Drop(StrEnum):
    """When the connection is closed without an answer."""

    NEVER = "never"
    BEFORE_BODY = "before_body"  # nothing of the request's body is read, and nothing of it counts
    AFTER_BODY = "after_body"  # the request counts, its answer is lost


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `times` requests.

    `status`, `body` and `headers` replace the answer; without the first two the request is judged as always, and
    its answer is delayed, cut after so many bytes (status line and headers included; a negative number counts from
    the end) or dripped byte by byte.
    What is no text stands in `body` as Python's "surrogateescape" writes it.
    A `Content-Length` or `Transfer-Encoding` in `headers` is sent as it stands, true or not.
    """

    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_ms: int = 0
    cut_after: int | None = None
    drip_ms: int = 0
    drop: Drop = Drop.NEVER
    times: int = 1

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Raises ValueError, with a sentence, where `content` is not the JSON of a fault."""
        if not isinstance(content, dict):
            raise ValueError("A fault is a JSON object.")
        unknown = content.keys() - {item.name for item in fields(cls)}
        if unknown:
            raise ValueError(f"A fault has no {', '.join(sorted(unknown))}.")
        return cls(**content | {"drop": Drop(content.get("drop", Drop.NEVER))})

    def as_json(self) -> dict[str, Any] | None:
        """What was scripted, without what was left as it is. None where nothing was."""
        return {name: value for name, value in asdict(self).items() if value != getattr(NO_FAULT, name)} or None

    def instead_of(self, reply: Reply) -> Reply:
        """The answer that goes out where `reply` would have."""
        if self.status is None and self.body is None:
            return Reply(reply.status, reply.body, {**reply.headers, **self.headers})
        status = self.status or reply.status
        if self.body is not None:
            return Reply(
                status, self.body.encode(errors="surrogateescape"), {"Content-Type": "application/json", **self.headers}
            )
        scripted = refusal(status, "Scripted by a test") if status and status >= 400 else Reply(status)
        return Reply(status, scripted.body, {**scripted.headers, **self.headers})


NO_FAULT = Fault()


class Faults:
    """The queue. Safe for several threads."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Fault, int]] = deque()  # each with how many requests it is still for
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._queue.extend((fault, fault.times) for fault in faults if fault.times > 0)

    def script(self, body: bytes) -> None:
        """Add the fault, or the list of faults, of a JSON text; an empty list empties the queue.

        Raises ValueError, and then changes nothing.
        """
        content = json.loads(body)
        if content == []:
            return self.clear()
        self.add(*[Fault.from_json(item) for item in (content if isinstance(content, list) else [content])])

    def take(self) -> Fault:
        """What the request that has just come in meets."""
        with self._lock:
            if not self._queue:
                return NO_FAULT
            fault, left = self._queue.popleft()
            if left > 1:
                self._queue.appendleft((fault, left - 1))
            return fault

    def clear(self) -> None:
        with self._lock:
            self._queue.clear()
