"""Which batch is next: oldest first, and yet what happens now does not wait for all that has piled up."""

import contextlib
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from django.db import Error

from capi.delivery import selection
from capi.delivery.lane import LaneSnapshot
from capi.delivery.selection import Batch
from capi.models.lookups import NO_IDS, IdList

# --- Whose turn it is: oldest first, and yet what happens now doesn't wait for all that has piled up.

NEW_EVERY = 4
NEW = timedelta(minutes=5)  # longer than NEW_EVERY of the slowest requests


@dataclass(slots=True)
class BatchQueue:
    """The order of one turn's batches. It begins anywhere in the round, since a turn may be shorter than one."""

    _count: int = field(default_factory=lambda: random.randrange(NEW_EVERY))  # noqa: S311 - no secret

    def next_batch(self, seen: LaneSnapshot, *, behind: IdList = NO_IDS) -> Batch | None:
        """The next batch of the lane; see `selection.next_batch`."""
        self._count += 1
        read = partial(
            selection.next_batch, seen.connection.company_id, size=seen.batch_size, now=seen.now, behind=behind
        )
        if self._count % NEW_EVERY == 0:
            new = read(since=seen.now - NEW)
            if new is not None:
                return new
        return read()


# --- Reading ahead: while a full batch is on the wire, the next one is read, hashed and checked.

FRESH_SECONDS = 3.0  # behind a slow answer it is read again: rules and addresses may have been mended meanwhile


@dataclass(slots=True)
class ReadAhead:
    """The batch that was read ahead, if any, and what `recalls` of its lane was before."""

    queue: BatchQueue
    _found: tuple[Batch, int] | None = None
    _read_at: float = 0.0

    def read(self, seen: LaneSnapshot, *, behind: IdList) -> None:
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
