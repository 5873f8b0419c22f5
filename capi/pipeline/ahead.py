"""Reading ahead: while a full batch is on the wire, the next one is read, hashed and checked.

LinkedIn's time and the database's then cost once and not one after the other. Requests are still made one at a time,
each after the one before is written down, so that a process that dies leaves no more than one of them unknown.
"""

import contextlib
import time
from dataclasses import dataclass

from django.db import Error

from capi.pipeline.keys import Keys
from capi.pipeline.lane import Look
from capi.pipeline.queue import Queue
from capi.pipeline.take import Batch

FRESH_SECONDS = 3.0  # behind a slow answer it is read again: rules and addresses may have been mended meanwhile


@dataclass(slots=True)
class Ahead:
    """The batch that was read ahead, if any, and what `recalls` of its lane was before."""

    queue: Queue
    _found: tuple[Batch, int] | None = None
    _read_at: float = 0.0

    def read(self, seen: Look, *, behind: Keys) -> None:
        """Read the batch that follows these events, which are on the wire. `seen` is the lane from before."""
        # Whatever the database does now, the answer on the wire has to be waited for and written.
        with contextlib.suppress(Error):
            self._read_at = time.monotonic()
            batch = self.queue.next_batch(seen, behind=behind)
            self._found = (batch, seen.connection.recalls) if batch else None

    def pop(self) -> tuple[Batch, int] | None:
        """The batch and the `recalls` that it was read at, once, while it is fresh."""
        found, self._found = self._found, None
        return found if time.monotonic() < self._read_at + FRESH_SECONDS else None

    def forget(self) -> None:
        """What LinkedIn answered changes what is to be done next: let it be read anew."""
        self._found = None
