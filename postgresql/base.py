"""The database backend. Django finds it by the name of this module: ENGINE = "postgresql".

TCP alone does not notice a peer that has disappeared: a statement would wait for its response for ever. Keepalives and
TCP_USER_TIMEOUT (in the settings) help if the kernel gets no reply either. Behind a proxy, a pgbouncer or a NAT that
drops packets, the kernel does get replies, and only a timeout of ours ends the wait.
"""

import select
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final, TypeVar

import psycopg
from django.db import OperationalError
from django.db.backends.postgresql import base, features, operations
from psycopg import errors
from psycopg.abc import PQGen

from postgresql import bounds, commits, saving

# An idle connection that does not reply within this time is replaced.
HEALTH_CHECK_SECONDS: Final = 3.0
# psycopg's default, the interval at which it notices Ctrl-C.
INTERVAL_SECONDS: Final = 0.1
RV = TypeVar("RV")

# When this process last had a timeout, on the monotonic clock. All threads write it; the latest value counts.
_last_timeout = float("-inf")


class TimedOut(errors.OperationalError):
    """A statement got no response within this thread's limit."""


class BoundedConnection(psycopg.Connection[Any]):
    """Closes itself if a statement gets no response within this thread's limit.

    Every wait in psycopg 3.3 goes through `wait`: statements, COMMIT and ROLLBACK, each FETCH of a server-side cursor,
    each piece of a COPY. https://github.com/psycopg/psycopg/blob/3.3.9/psycopg/psycopg/connection.py
    """

    has_answered = False

    def wait(
        self,
        gen: PQGen[RV],
        interval: float = INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> RV:
        """Wait as psycopg does. On a timeout, close, because the response may still arrive; raise OperationalError."""
        if timeout is not None:
            # psycopg's own timeout, which it handles itself.
            return super().wait(gen, interval, timeout)
        bound = bounds.seconds()
        try:
            result = super().wait(gen, interval, bound)
        except errors.OperationalError as error:
            # An answer of PostgreSQL's, or the end of the connection.
            if error.sqlstate or self.closed:
                raise
            # Behind a PgBouncer, a connection that never had an answer waits for its turn: others are not dead.
            if self.has_answered:
                global _last_timeout
                _last_timeout = time.monotonic()
            self.close()  # can't block: the socket is non-blocking
            raise TimedOut(
                f"PostgreSQL has not answered within {bound:g} seconds."
            ) from None
        self.has_answered = True
        return result


class Driver(ModuleType):
    """psycopg with another connection class."""

    connect = BoundedConnection.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseFeatures(features.DatabaseFeatures):
    # Its collation pg_c_utf8; the tests run on 18, and a part of them on 17.
    minimum_database_version = (17,)
    # The protocol counts them in 16 bits, and server-side binding sends each by itself.
    max_query_params = 2**16 - 1


class DatabaseOperations(operations.DatabaseOperations):
    def bulk_batch_size(self, fields: Sequence[Any], objs: Sequence[Any]) -> int:
        """How many rows with these columns one statement can have. Django 5.2 puts all of them into one."""
        return DatabaseFeatures.max_query_params // max(len(fields), 1)


class DatabaseWrapper(base.DatabaseWrapper):
    Database = Driver("psycopg")
    features_class = DatabaseFeatures
    ops_class = DatabaseOperations
    _found_usable_at = 0.0  # or when it began to connect; on the monotonic clock

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers += [saving.note_write, read_again]

    def rollback(self) -> None:
        saving.note_rollback()
        super().rollback()

    def get_new_connection(self, conn_params: dict[str, Any]) -> BoundedConnection:
        self._found_usable_at = time.monotonic()
        connection: BoundedConnection = super().get_new_connection(conn_params)
        return connection

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters plus this thread's session settings. DATABASES comes later and overrides them."""
        params: dict[str, Any] = super().get_connection_params()
        return {
            **params,
            "options": bounds.before(
                params.get("options", ""), bounds.session_settings()
            ),
        }

    def commit(self) -> None:
        """Commit as Django does, after the hooks that run before it."""
        for _, hook in commits.registered(self):
            hook.before_commit()
        saving.note_commit()
        super().commit()

    def ensure_connection(self) -> None:
        """Before the next statement, replace a connection that timed out, or that the server has ended meanwhile.

        Django does so only in the next request. Otherwise a worker could not even release its lane, and what follows a
        commit in the same request would fail: its user would read that the change may not have been saved. Inside a
        transaction, which has failed, nothing is replaced.
        """
        if self._is_dead():
            self.close()
        super().ensure_connection()

    def close_if_unusable_or_obsolete(self) -> None:
        """Close a connection that is dead, instead of replacing it to read its autocommit mode as Django does.

        This is called after a response was sent, and must not fail if the database is still down.
        """
        if self._is_dead():
            self.close()
        else:
            super().close_if_unusable_or_obsolete()

    @property
    def is_between_transactions(self) -> bool:
        return not self.in_atomic_block and bool(self.autocommit)

    def _is_dead(self) -> bool:
        """True if the connection timed out, or if the server has ended it while it was idle. Sends nothing, in 2 µs."""
        if self.connection is None or not self.is_between_transactions:
            return False
        if self.connection.closed:
            return self.errors_occurred
        polling = select.poll()
        polling.register(self.connection.fileno(), select.POLLIN)
        # Something that no one asked for has arrived: the server's last words, or perhaps only a notice.
        return bool(polling.poll(0)) and not self.is_usable()

    def is_usable(self) -> bool:
        """Check as Django does, within HEALTH_CHECK_SECONDS: a dead connection costs a request no more than that.

        Connections die together. If another thread has had a timeout since this connection was last checked, it counts
        as dead without a check. Otherwise each thread of a web server would keep one user waiting for those seconds.
        """
        if self._found_usable_at < _last_timeout:
            return False
        now = time.monotonic()
        with bounds.waiting(
            min(bounds.seconds() or HEALTH_CHECK_SECONDS, HEALTH_CHECK_SECONDS)
        ):
            usable = super().is_usable()
        self._found_usable_at = now
        return usable


def read_again(
    execute: Callable[..., Any],
    sql: Any,
    params: Any,
    many: bool,
    context: dict[str, Any],
) -> Any:
    """Run a statement. If the server ends the connection meanwhile, run a SELECT once more, on another connection.

    What follows the commit of a change reads only. Inside a transaction, which has failed, nothing is repeated.
    """
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        wrapper, cursor = context["connection"], context["cursor"]
        was_ended = (
            wrapper.is_between_transactions
            and wrapper.connection is not None
            and wrapper.connection.closed
        )
        may_repeat = str(sql).startswith("SELECT") and not isinstance(
            cursor.cursor, psycopg.ServerCursor
        )
        if not (was_ended and may_repeat) or isinstance(error.__cause__, TimedOut):
            raise
    cursor.cursor = wrapper.cursor().cursor
    return execute(sql, params, many, context)
