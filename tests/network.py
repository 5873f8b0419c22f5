"""Whether the interfaces and addresses of this machine may change.

Chromium aborts whatever it is loading when one of them comes or goes (net::ERR_NETWORK_CHANGED), even from loopback.
Tests that need a network of their own must not run while a browser is at work in another worker of pytest.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = Path(__file__).resolve().parents[1] / "var"


@contextmanager
def staying_as_it_is() -> Iterator[None]:
    """A shared lock. Waits for anyone who is changing the network, and for anyone who is waiting to."""
    with _held("network-queue.lock", fcntl.LOCK_SH):
        pass
    with _held("network.lock", fcntl.LOCK_SH):
        yield


@contextmanager
def changing() -> Iterator[None]:
    """An exclusive lock. Those who come later wait in the queue; otherwise it might never get its turn."""
    with (
        _held("network-queue.lock", fcntl.LOCK_EX),
        _held("network.lock", fcntl.LOCK_EX),
    ):
        yield


@contextmanager
def _held(name: str, kind: int) -> Iterator[None]:
    LOCKS.mkdir(exist_ok=True)
    with (LOCKS / name).open("w") as lock:
        fcntl.flock(lock, kind)
        yield
