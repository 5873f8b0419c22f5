"""Whether an error means that the database is unavailable, and why: one table of PostgreSQL's codes for all callers."""

from enum import Enum, auto
from typing import Final

import psycopg
from django.db import Error, InterfaceError


class Unavailable(Enum):
    """Why the database can't do something that it could do before, and will do again."""

    UNREACHABLE = auto()  # away, starting, shutting down, or in a lost connection
    OVERLOADED = auto()  # no connection or no memory left
    NO_SPACE = auto()  # it can't write to its disk
    READ_ONLY = auto()  # such as a standby that is not promoted yet
    TOO_SLOW = auto()  # a statement has reached its time limit


# By code, else by the class of the code: https://www.postgresql.org/docs/current/errcodes-appendix.html
# PgBouncer gives its own messages ("query_wait_timeout", "no more connections allowed") a code of class 08.
_BY_CODE: Final = {
    "53100": Unavailable.NO_SPACE,  # disk_full
    "25006": Unavailable.READ_ONLY,  # read_only_sql_transaction
    "25P03": Unavailable.UNREACHABLE,  # idle_in_transaction_session_timeout
    "25P04": Unavailable.TOO_SLOW,  # transaction_timeout
    "55P03": Unavailable.TOO_SLOW,  # lock_not_available
    "57014": Unavailable.TOO_SLOW,  # query_canceled, as by statement_timeout
}
_BY_CLASS: Final = {
    "08": Unavailable.UNREACHABLE,  # connection exception
    "53": Unavailable.OVERLOADED,  # insufficient resources
    # Operator intervention: shut down, crashed, starting up.
    "57": Unavailable.UNREACHABLE,
    "58": Unavailable.NO_SPACE,  # an error of its system, such as of its disk
}


def why_unavailable(error: BaseException | None) -> Unavailable | None:
    """Return why the database was unavailable, None if this error is about something else.

    The error is Django's, or psycopg's own as a COPY raises it. Without a code no answer has come from the server: a
    connection that could not be opened (libpq passes no code on) or was lost.
    """
    cause = error.__cause__ if isinstance(error, Error) else error
    if not isinstance(cause, psycopg.Error):
        return Unavailable.UNREACHABLE if isinstance(error, InterfaceError) else None
    if cause.sqlstate is None:
        is_about_connection = isinstance(
            cause, psycopg.OperationalError | psycopg.InterfaceError
        )
        return Unavailable.UNREACHABLE if is_about_connection else None
    return _BY_CODE.get(cause.sqlstate) or _BY_CLASS.get(cause.sqlstate[:2])


def took_too_long(error: BaseException) -> bool:
    """True if PostgreSQL has ended a statement at its time limit."""
    return why_unavailable(error) is Unavailable.TOO_SLOW
