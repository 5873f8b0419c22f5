"""Whose turn it is: oldest first, and yet what happens now doesn't wait for all that has piled up.

After a pause 100,000 events may be due at once, the oldest of them in front. They go out in their order; but one
batch in NEW_EVERY is for what became due a moment ago, where there is such a thing. So a new event waits for at most
NEW_EVERY batches of each rule that has new ones, however long the queue is.
"""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from capi.pipeline import take
from capi.pipeline.keys import NO_KEYS, Keys
from capi.pipeline.lane import Look
from capi.pipeline.take import Batch

NEW_EVERY = 4
NEW = timedelta(minutes=5)  # longer than NEW_EVERY of the slowest requests


@dataclass(slots=True)
class Queue:
    """The order of one turn's batches. It begins anywhere in the round, since a turn may be shorter than one."""

    _count: int = field(default_factory=lambda: random.randrange(NEW_EVERY))  # noqa: S311 - no secret

    def next_batch(self, seen: Look, *, behind: Keys = NO_KEYS) -> Batch | None:
        """The next batch of the lane; see `take.next_batch`."""
        self._count += 1
        read = partial(take.next_batch, seen.connection.company_id, size=seen.batch_size, now=seen.now, behind=behind)
        if self._count % NEW_EVERY == 0:
            new = read(since=seen.now - NEW)
            if new is not None:
                return new
        return read()
