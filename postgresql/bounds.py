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
    idle_seconds: float = 0.0  # 0: for ever


_bound = _Bound()


def seconds() -> float | None:
    """How long this thread waits."""
    return _bound.seconds


def bound_process(seconds: float, *, idle_seconds: float) -> None:
    """From now on each thread of this process waits so long, unless it has a bound of its own.

    The server ends its sessions that have said nothing for `idle_seconds`: where a connection has died unseen, a proxy
    or a NAT in between may keep the server's half alive for ever, and one day no new one is let in. What was not dead
    is replaced by the health check before its next statement.
    """
    _Bound.seconds, _Bound.idle_seconds = seconds, idle_seconds


def bound_thread(seconds: float) -> None:
    """From now on this thread waits so long. A connection that it has open keeps what the server was told."""
    _bound.seconds = seconds


def session_settings() -> dict[str, int]:
    """What the server is told for this thread, by the names of PostgreSQL's settings. All in milliseconds."""
    if _bound.seconds is None:
        return {}
    return {"statement_timeout": _statement_timeout(), "idle_session_timeout": round(_bound.idle_seconds * 1000)}


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
        cursor.execute(f"SET statement_timeout = {_statement_timeout()}")


def _statement_timeout() -> int:
    return round((_bound.seconds or 0) * SERVER_SHARE * 1000)
