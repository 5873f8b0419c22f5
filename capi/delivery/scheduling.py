"""Which batch is next: the oldest first, but new events don't wait for a backlog."""

import contextlib
import random
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from django.db import Error

from capi.delivery import selection
from capi.delivery.lane import LaneSnapshot
from capi.delivery.selection import Batch
from capi.models.lookups import NO_IDS, IdList

NEW_EVERY = 4
NEW = timedelta(minutes=5)  # longer than NEW_EVERY of the slowest requests
# After a slow answer, the batch is read again: rules and addresses may have been fixed
# meanwhile.
FRESH_SECONDS = 3.0


@dataclass(slots=True)
class BatchQueue:
    """The order of one turn's batches, in rounds of NEW_EVERY. Starts at random, as a turn may be shorter than that.

    While a full batch is on the wire, the next one is read ahead, hashed and checked.
    """

    _count: int = field(default_factory=lambda: random.randrange(NEW_EVERY))  # noqa: S311 - no secret
    _ahead: Batch | None = None
    _ahead_read_at: float = 0.0

    def next_batch(self, snapshot: LaneSnapshot) -> Batch | None:
        """The batch that was read ahead, unless it is too old, or the lane's next one: see `selection.next_batch`."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and time.monotonic() < self._ahead_read_at + FRESH_SECONDS:
            return ahead
        return self._read(snapshot, NO_IDS)

    def read_ahead(self, snapshot: LaneSnapshot, *, behind: IdList) -> None:
        """Read the batch that follows these events, which are on the wire. `snapshot` is from before this read."""
        # Whatever the database does now, the answer on the wire must be read and written.
        with contextlib.suppress(Error):
            self._ahead_read_at = time.monotonic()
            self._ahead = self._read(snapshot, behind)

    def forget(self) -> None:
        """Drop the batch that was read ahead: LinkedIn's answer changes what is sent next."""
        self._ahead = None

    def _read(self, snapshot: LaneSnapshot, behind: IdList) -> Batch | None:
        self._count += 1
        lane = snapshot.connection
        read = partial(
            selection.next_batch,
            lane.company_id,
            size=snapshot.batch_size,
            now=snapshot.now,
            behind=behind,
        )
        batch = read(since=snapshot.now - NEW) if self._count % NEW_EVERY == 0 else None
        batch = batch or read()
        return replace(batch, recalls=lane.recalls) if batch else None
