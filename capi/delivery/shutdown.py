"""The end of a worker in good order: what is in flight is finished and written down, and nothing new is begun."""

import mmap
from typing import Final

from django.conf import settings

WRITING_SECONDS: Final = 10.0  # to write down what LinkedIn answered, and to end

# One byte that a worker's parent shares with the children it forks: they get no signal of a warm shutdown.
_flag = mmap.mmap(-1, 1)


def reset() -> None:
    """Have this worker, and the children that it forks from now on, share a flag of their own."""
    global _flag
    _flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Have every delivery of this worker stop after the request that is in flight. Safe in a signal handler."""
    _flag[0] = 1


def has_begun() -> bool:
    """True once this worker is about to end, in all of its processes."""
    return bool(_flag[0])


def seconds() -> float:
    """How long a worker takes to end in good order, at most: a request to LinkedIn, and writing down its answer."""
    return settings.SEND_TIMEOUT_SECONDS + WRITING_SECONDS
