"""How long to wait for PostgreSQL: the limit of each statement, and the options of each connection.

The limit is set for a process or for one of its threads. Statements of management commands have none.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from django.db import Error, connection

# The server cancels a statement a little before its client stops waiting.
SERVER_SHARE: Final = 0.9
# For operations that users expect to be slow, such as exporting the whole log.
LONG_SECONDS: Final = 60.0
# No one waits for it, and its statements read whole tables.
HOUSEKEEPING_SECONDS: Final = 600.0


class _Bound(threading.local):
    seconds: float | None = None  # the class attribute is the default of all threads
    idle_seconds: float = 0.0  # 0: no limit


_bound = _Bound()


def seconds() -> float | None:
    """Return this thread's limit in seconds, None for no limit."""
    return _bound.seconds


def bound_process(seconds: float, *, idle_seconds: float) -> None:
    """Set the limit for all threads of this process that have no limit of their own.

    The server ends sessions that are idle for `idle_seconds`. If a connection dies unnoticed, a proxy or a NAT may keep
    the server's half alive for ever, until the server accepts no new ones. An idle connection that was alive is
    replaced by the health check before its next statement.
    """
    _Bound.seconds, _Bound.idle_seconds = seconds, idle_seconds


def bound_thread(seconds: float) -> None:
    """Set the limit for this thread. A connection that is already open keeps its server-side setting."""
    _bound.seconds = seconds


def session_settings() -> dict[str, int]:
    """Return the PostgreSQL settings for this thread's sessions, in milliseconds."""
    if _bound.seconds is None:
        return {}
    return {
        "statement_timeout": _statement_timeout(),
        "idle_session_timeout": round(_bound.idle_seconds * 1000),
    }


@contextmanager
def statements_may_take(seconds: float) -> Iterator[None]:
    """Within this block, raise the limit of each statement, on server and client, if this thread's limit is lower."""
    before = _bound.seconds
    if before is None or before >= seconds:
        yield
        return
    with waiting(seconds):
        _set_on_server()
        try:
            yield
        finally:
            _bound.seconds = before
            # This fails in a failed transaction, where it is not needed: the rollback restores the setting.
            with suppress(Error):
                _set_on_server()


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """Within this block, set this thread's limit on the client only, not on the server."""
    before = _bound.seconds
    _bound.seconds = seconds
    try:
        yield
    finally:
        _bound.seconds = before


def _set_on_server() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {_statement_timeout()}")


def _statement_timeout() -> int:
    return round((_bound.seconds or 0) * SERVER_SHARE * 1000)


# Connection options. Most of them let both ends notice a peer that has disappeared, before any timeout of ours.
#
# https://www.postgresql.org/docs/18/libpq-connect.html
# https://www.postgresql.org/docs/18/runtime-config-connection.html

# After 15 idle seconds a probe every 5, three at most. Sent data must be acknowledged within 20.
TCP: Final = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
USER_TIMEOUT_MILLISECONDS: Final = 20_000
CONNECT_SECONDS: Final = 5  # for each address of a host name

# What PostgreSQL's documentation suggests for solid-state disks. With the default of 4, meant for disks that have to
# seek, PostgreSQL read the leads of all companies to count some leads of one, instead of using the company's index.
# https://www.postgresql.org/docs/18/runtime-config-query.html#GUC-RANDOM-PAGE-COST
RANDOM_PAGE_COST: Final = 1.1


def options(given: Mapping[str, Any], *, idle_seconds: float) -> dict[str, Any]:
    """Return Django's OPTIONS. Options `given` in DATABASE_URL override ours.

    The server ends a session that is idle inside a transaction for `idle_seconds`. Otherwise a client that freezes or
    disappears there would keep its rows locked for ever, including a lane's.
    """
    session = {
        "idle_in_transaction_session_timeout": round(idle_seconds * 1000),
        **{f"tcp_{name}": value for name, value in TCP.items()},
        "tcp_user_timeout": USER_TIMEOUT_MILLISECONDS,
        "random_page_cost": RANDOM_PAGE_COST,
    }
    ours = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives": 1,
        **TCP,
        "tcp_user_timeout": USER_TIMEOUT_MILLISECONDS,
    }
    return {**ours, **given, "options": before(given.get("options", ""), session)}


def before(options: str, session: Mapping[str, float]) -> str:
    """Return libpq's `options` with these session settings in front. If a setting appears twice, the last one wins."""
    return " ".join(
        [*(f"-c {name}={value}" for name, value in session.items()), options]
    ).strip()
