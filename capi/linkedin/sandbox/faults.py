"""Faults that a test scripts for the next requests. Each request takes one from the queue, in order of arrival."""

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
    # The request's body is not read, and the request doesn't count.
    BEFORE_BODY = "before_body"
    AFTER_BODY = "after_body"  # the request counts, but its answer is lost


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `times` requests.

    `status`, `body` and `headers` replace the answer. Without the first two the request is validated as usual, and its
    answer is delayed, cut after `cut_after` bytes (with status line and headers; a negative number counts from the
    end) or sent byte by byte. Bytes that aren't text are in `body` as Python's "surrogateescape" writes them. A
    `Content-Length` or `Transfer-Encoding` in `headers` is sent as it is, true or not.
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
        """The fault that this JSON describes. Raises ValueError, with a sentence, if it isn't one."""
        if not isinstance(content, dict):
            raise ValueError("A fault is a JSON object.")
        unknown = content.keys() - {item.name for item in fields(cls)}
        if unknown:
            raise ValueError(f"A fault has no {', '.join(sorted(unknown))}.")
        return cls(**content | {"drop": Drop(content.get("drop", Drop.NEVER))})

    def as_json(self) -> dict[str, Any] | None:
        """The fields that were scripted. None if none was."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value != getattr(NO_FAULT, name)
        } or None

    def instead_of(self, reply: Reply) -> Reply:
        """The answer that is sent in place of `reply`."""
        if self.status is None and self.body is None:
            return Reply(reply.status, reply.body, {**reply.headers, **self.headers})
        status = self.status or reply.status
        if self.body is not None:
            return Reply(
                status,
                self.body.encode(errors="surrogateescape"),
                {"Content-Type": "application/json", **self.headers},
            )
        scripted = (
            refusal(status, "Scripted by a test")
            if status and status >= 400
            else Reply(status)
        )
        return Reply(status, scripted.body, {**scripted.headers, **self.headers})


NO_FAULT = Fault()


class Faults:
    """The queue of faults. Thread-safe."""

    def __init__(self) -> None:
        # Each with the number of requests left for it.
        self._queue: deque[tuple[Fault, int]] = deque()
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._queue.extend(
                (fault, fault.times) for fault in faults if fault.times > 0
            )

    def script(self, body: bytes) -> None:
        """Add the fault, or the list of faults, of a JSON text. An empty list clears the queue.

        Raises ValueError, and then changes nothing.
        """
        content = json.loads(body)
        if content == []:
            return self.clear()
        self.add(
            *[
                Fault.from_json(item)
                for item in (content if isinstance(content, list) else [content])
            ]
        )

    def take(self) -> Fault:
        """The fault for the request that has just arrived."""
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
