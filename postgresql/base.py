"""The database backend. Django finds it by the name of this module: ENGINE = "postgresql".

TCP alone does not notice a partner that has gone without a word: a statement that was sent waits for its answer for
ever. Keepalives and TCP_USER_TIMEOUT (in the settings) help where the kernel gets no answer either. Behind a proxy, a
pgbouncer or a NAT that swallows, the kernel is content, and only a clock of ours ends the wait.
"""

from types import ModuleType
from typing import Any, Final, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg import errors
from psycopg.abc import PQGen

from postgresql import bounds
from postgresql.options import before

HEALTH_CHECK_SECONDS: Final = 3.0  # an idle connection that says nothing for so long is replaced
INTERVAL_SECONDS: Final = 0.1  # psycopg's own, at which Ctrl-C is noticed
RV = TypeVar("RV")


class Connection(psycopg.Connection[Any]):
    """Gives a statement up, and itself with it, where there is no answer within this thread's bound.

    Each wait of psycopg 3.3 passes through `wait`: statements, COMMIT and ROLLBACK, each FETCH of a server-side cursor,
    each piece of a COPY. https://github.com/psycopg/psycopg/blob/3.3.9/psycopg/psycopg/connection.py
    """

    def wait(self, gen: PQGen[RV], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        """Raises OperationalError where there is no answer. Then the connection is closed, for it may still come."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)  # psycopg's own, which it knows what to do about
        bound = bounds.seconds()
        try:
            return super().wait(gen, interval, bound)
        except errors._WaitTimeout:
            self.close()  # sends nothing that could wait in its turn: the socket does not block
            raise errors.OperationalError(f"PostgreSQL has not answered within {bound:g} seconds.") from None


class Driver(ModuleType):
    """psycopg, but for the class of its connections."""

    connect = Connection.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    Database = Driver("psycopg")

    def get_connection_params(self) -> dict[str, Any]:
        """As Django's, with what the server is told for this thread. What the settings say comes later, and wins."""
        params: dict[str, Any] = super().get_connection_params()
        return {**params, "options": before(params.get("options", ""), bounds.session_settings())}

    def ensure_connection(self) -> None:
        """As Django's. One that was given up is replaced before the next statement, not only in the next request.

        Else a worker could not even give its lane back. Inside a transaction nothing is replaced: it has failed.
        """
        if self._was_given_up:
            self.close()
        super().ensure_connection()

    def close_if_unusable_or_obsolete(self) -> None:
        """As Django's, which asks the connection for its mode: one that was given up is not opened again for that.

        It is called once a request has been answered. A database that is still away must not fail it then.
        """
        if self._was_given_up:
            self.close()
        else:
            super().close_if_unusable_or_obsolete()

    @property
    def _was_given_up(self) -> bool:
        is_closed = self.errors_occurred and self.connection is not None and self.connection.closed
        return bool(is_closed) and not self.in_atomic_block and bool(self.autocommit)

    def is_usable(self) -> bool:
        """As Django's, within HEALTH_CHECK_SECONDS: a dead connection costs a request no more than that."""
        with bounds.waiting(min(bounds.seconds() or HEALTH_CHECK_SECONDS, HEALTH_CHECK_SECONDS)):
            return super().is_usable()
