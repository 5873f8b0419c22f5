"""How many connections to the database a process takes, and whether the server has room for them.

A thread keeps its connection between requests, rounds and tasks, so what counts is threads. The start of each process
logs its number, and warns. docs/operating.md has the same numbers; a fault test counts them in pg_stat_activity.
"""

import logging
import os
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import Error, connection

logger = logging.getLogger(__name__)

TIMERS: Final = 7  # threads of a worker, started by leadmachine.workers
# The name of the installation is read on a connection of its own.
FOR_A_MOMENT: Final = 1
EMBEDDED_CONCURRENCY: Final = 2  # of the worker inside a web process
OTHERS: Final = 10  # management commands, a backup, monitoring, and a psql or two
# PostgreSQL's default of superuser_reserved_connections.
RESERVED: Final = 3

LIMITS: Final = """
    SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    ), (SELECT sum(numbackends) - 1 FROM pg_stat_database), pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Room:
    """What the server says. `limit` is how many connections this installation can have at most."""

    limit: int
    in_use: int
    is_pooled: bool  # there is a pooler in between, which has a limit of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The processes of an installation, on all its machines."""

    web: int
    threads: int  # of each web process
    workers: int
    concurrency: int  # of each worker

    @property
    def connections(self) -> int:
        """How many connections all of them take at most."""
        of_all_web = self.web * of_web(threads=self.threads)
        return of_all_web + self.workers * of_worker(self.concurrency)

    @property
    def needed(self) -> int:
        """How many connections the server must accept: a deploy may start all processes before the old ones end."""
        return 2 * self.connections + OTHERS


def of_web(*, threads: int) -> int:
    """Return how many connections a web process takes at most, with its embedded worker if there is one."""
    return (
        threads
        + FOR_A_MOMENT
        + (of_worker(EMBEDDED_CONCURRENCY) if settings.EMBEDDED_WORKER else 0)
    )


def of_worker(concurrency: int) -> int:
    """Return how many connections a worker takes at most, whether its pool has processes or threads."""
    return concurrency + TIMERS + FOR_A_MOMENT


def concurrency_of(options: dict[str, object]) -> int:
    """Return the size of a Celery worker's pool, from its options on the command line."""
    given = options.get("concurrency")
    return int(str(given)) if given else os.cpu_count() or 1


def log(what: str, needed: int) -> None:
    """Log how many connections this takes at most, and a warning for each reason why there may be too few.

    Says nothing if the database is down. Leaves no connection open.
    """
    try:
        room = read_room()
    except Error:
        return
    finally:
        connection.close()
    logger.info(
        "%s takes up to %s connections to PostgreSQL, which accepts %s.",
        what,
        needed,
        room.limit,
    )
    for warning in warnings(room, what, needed):
        logger.warning("%s", warning)


def warnings(room: Room, what: str, needed: int) -> list[str]:
    """Return a line for each reason why there may be too few connections: its id, the problem and the fix."""
    found = []
    if room.in_use + needed > room.limit:
        found.append(
            f"leadmachine.W026: PostgreSQL accepts {room.limit} connections, and {room.in_use} are in use. {what} "
            f"takes up to {needed} more. Raise max_connections, or the limit of the role or database "
            "(docs/operating.md)."
        )
    if room.is_pooled and connection.settings_dict["CONN_MAX_AGE"] != 0:
        found.append(
            f"leadmachine.W027: There is a PgBouncer in front of PostgreSQL. {what} keeps up to {needed} of its "
            "connections, also while idle, and waits where it has fewer. Add ?conn_max_age=0 to DATABASE_URL, or give "
            "its pool (default_pool_size) room for all processes (docs/operating.md)."
        )
    return found


def read_room() -> Room:
    """Return what the server says. Raises django.db.Error."""
    with connection.cursor() as cursor:
        cursor.execute(LIMITS)
        limit, in_use, server_pid = cursor.fetchone()
    # A pooler gives its clients a number of its own.
    return Room(
        int(limit),
        int(in_use),
        is_pooled=connection.connection.info.backend_pid != server_pid,
    )
