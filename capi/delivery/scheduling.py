"""Which batch is next: the oldest first, but new events don't wait for a backlog."""

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

NEW_EVERY = 4
NEW = timedelta(minutes=5)  # longer than NEW_EVERY of the slowest requests
FRESH_SECONDS = 3.0  # after a slow answer, the batch is read again: rules and addresses may have been fixed meanwhile


@dataclass(slots=True)
class BatchQueue:
    """The order of one turn's batches, in rounds of NEW_EVERY. Starts at random, as a turn may be shorter than that."""

    _count: int = field(default_factory=lambda: random.randrange(NEW_EVERY))  # noqa: S311 - no secret

    def next_batch(self, snapshot: LaneSnapshot, *, behind: IdList = NO_IDS) -> Batch | None:
        """The next batch of the lane; see `selection.next_batch`."""
        self._count += 1
        company_id, size = snapshot.connection.company_id, snapshot.batch_size
        read = partial(selection.next_batch, company_id, size=size, now=snapshot.now, behind=behind)
        if self._count % NEW_EVERY == 0:
            new = read(since=snapshot.now - NEW)
            if new is not None:
                return new
        return read()


@dataclass(slots=True)
class ReadAhead:
    """Reads, hashes and checks the next batch while a full one is on the wire."""

    queue: BatchQueue
    _batch: tuple[Batch, int] | None = None  # with the lane's `recalls` from before it was read
    _read_at: float = 0.0

    def read(self, snapshot: LaneSnapshot, *, behind: IdList) -> None:
        """Read the batch that follows these events, which are on the wire. `snapshot` is from before this read."""
        # Whatever the database does now, the answer on the wire must be read and written.
        with contextlib.suppress(Error):
            self._read_at = time.monotonic()
            batch = self.queue.next_batch(snapshot, behind=behind)
            self._batch = (batch, snapshot.connection.recalls) if batch else None

    def pop(self) -> tuple[Batch, int] | None:
        """Hand over the batch, with the `recalls` from before it was read. None without one, or if it is too old."""
        batch, self._batch = self._batch, None
        return batch if time.monotonic() < self._read_at + FRESH_SECONDS else None

    def forget(self) -> None:
        """Drop the batch: LinkedIn's answer changes what is sent next."""
        self._batch = None
