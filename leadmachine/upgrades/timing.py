"""How long each migration takes, and which tables others can't write or read meanwhile."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

# What each mode keeps others from doing: those that conflict with ROW EXCLUSIVE, which a write takes, and with ACCESS
# SHARE, which a read takes. https://www.postgresql.org/docs/18/explicit-locking.html#LOCKING-TABLES
NO_WRITES: Final = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock")
NO_READS: Final = "AccessExclusiveLock"
HELD: Final = """
    SELECT relname, bool_or(mode = %s)
    FROM pg_locks JOIN pg_class ON pg_class.oid = relation
    WHERE pid = pg_backend_pid() AND granted AND relkind IN ('r', 'p') AND mode = ANY(%s)
    GROUP BY relname
"""


@dataclass(frozen=True, slots=True)
class Lock:
    """A table that a migration locked until its end."""

    table: str
    seconds: float
    blocks_reads: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a migration took, with the locks that it held on tables that were there before it."""

    migration: str
    seconds: float
    locks: list[Lock]


@dataclass(slots=True)
class _Held:
    since: float
    blocks_reads: bool


@dataclass(slots=True)
class Stopwatch:
    """Times one migration after the other. Install it as an execute wrapper of the connection.

    Locks are seen after each statement, so those of a migration without a transaction, which end with the statement,
    are not.
    """

    timings: list[Timing] = field(default_factory=list)
    _began: float = 0
    _tables: Collection[str] = ()
    _held: dict[str, _Held] = field(default_factory=dict)

    def start(self) -> None:
        """Begin a migration."""
        self._tables = set(connection.introspection.table_names())
        self._held.clear()
        self._began = time.monotonic()

    def stop(self, migration: str) -> None:
        """End it, and keep its timing."""
        now = time.monotonic()
        locks = [
            Lock(table, now - held.since, held.blocks_reads)
            for table, held in sorted(self._held.items())
        ]
        self.timings.append(Timing(migration, now - self._began, locks))

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Mapping[str, Any],
    ) -> Any:
        before = time.monotonic()
        result = execute(sql, params, many, context)
        self._look(since=before)
        return result

    def _look(self, *, since: float) -> None:
        # A cursor of the driver: Django's would call this again.
        held = connection.connection.execute(HELD, [NO_READS, [*NO_WRITES, NO_READS]])
        for table, blocks_reads in held:
            if table in self._tables:
                lock = self._held.setdefault(table, _Held(since, blocks_reads))
                lock.blocks_reads |= blocks_reads
