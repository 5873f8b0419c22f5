"""A worker's clean shutdown: the request in flight is finished and written, and nothing new begins."""

import mmap

from django.conf import settings

# One byte that a worker shares with the children it forks: they get no signal on a warm shutdown.
_flag = mmap.mmap(-1, 1)


def reset() -> None:
    """Give this worker, and the children that it forks from now on, a new flag."""
    global _flag
    _flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Stop every delivery of this worker after the request in flight. Safe in a signal handler."""
    _flag[0] = 1


def has_begun() -> bool:
    """True once this worker is shutting down, in all of its processes."""
    return bool(_flag[0])


def seconds() -> float:
    """How many seconds a clean shutdown takes at most: a request to LinkedIn, and writing its answer."""
    # To write LinkedIn's answer, and to exit.
    return settings.SEND_TIMEOUT_SECONDS + 10.0
