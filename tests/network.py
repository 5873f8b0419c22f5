"""Whether the interfaces and addresses of this machine may change.

Chromium gives up whatever it is loading once one of them comes or goes (net::ERR_NETWORK_CHANGED), also from loopback.
Tests that need a network of their own must not run while a browser is at work in another worker of pytest.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = Path(__file__).resolve().parents[1] / "var"


@contextmanager
def staying_as_it_is() -> Iterator[None]:
    """Held by as many as like. Waits for who changes the network, and for who waits to."""
    with _held("network-queue.lock", fcntl.LOCK_SH):
        pass
    with _held("network.lock", fcntl.LOCK_SH):
        yield


@contextmanager
def changing() -> Iterator[None]:
    """Held by one alone. Who comes later waits in the queue, so that this ever gets its turn."""
    with _held("network-queue.lock", fcntl.LOCK_EX), _held("network.lock", fcntl.LOCK_EX):
        yield


@contextmanager
def _held(name: str, kind: int) -> Iterator[None]:
    LOCKS.mkdir(exist_ok=True)
    with (LOCKS / name).open("w") as lock:
        fcntl.flock(lock, kind)
        yield
