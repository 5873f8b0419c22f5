"""How long this process, and this thread of it, waits for PostgreSQL's answer to one statement.

None, what management commands have: for as long as it takes.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from django.db import Error, connection

SERVER_SHARE: Final = 0.9  # the server ends a statement a little before its client stops waiting
LONG_SECONDS: Final = 60.0  # for what a person knows to take its time, such as a file of the whole log
HOUSEKEEPING_SECONDS: Final = 600.0  # for what nobody waits for, and whose statements read whole tables


class _Bound(threading.local):
    seconds: float | None = None  # the value of the class is that of each thread without one of its own


_bound = _Bound()


def seconds() -> float | None:
    """How long this thread waits."""
    return _bound.seconds


def bound_process(seconds: float) -> None:
    """From now on each thread of this process waits so long, unless it has a bound of its own."""
    _Bound.seconds = seconds


def bound_thread(seconds: float) -> None:
    """From now on this thread waits so long. A connection that it has open keeps what the server was told."""
    _bound.seconds = seconds


def statement_timeout() -> int:
    """PostgreSQL's setting of this name, in milliseconds, that goes with this thread's bound. 0: none."""
    return round((_bound.seconds or 0) * SERVER_SHARE * 1000)


@contextmanager
def statements_may_take(seconds: float) -> Iterator[None]:
    """Wait so long for each statement inside, where this thread would not wait as long. Server and client."""
    before = _bound.seconds
    if before is None or before >= seconds or connection.vendor != "postgresql":
        yield
        return
    with waiting(seconds):
        _tell_server()
        try:
            yield
        finally:
            _bound.seconds = before
            # In a failed transaction it can't be set, and need not be: its rollback does.
            with suppress(Error):
                _tell_server()


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """Have this thread alone wait so long, and leave the server as it is."""
    before = _bound.seconds
    _bound.seconds = seconds
    try:
        yield
    finally:
        _bound.seconds = before


def _tell_server() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {statement_timeout()}")
