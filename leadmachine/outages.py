"""How an outage appears in the log: one traceback at the start, lines for further failures, a line at the end.

Each process counts for itself, from the first failure that it logs to its next new connection. Requests get a line each
time, since people saw them fail; timers and tasks, which try again every few seconds, get one a minute. Errors that are
no outage always keep their traceback.
"""

import logging
import os
import threading
import time
from enum import Enum, auto
from typing import Any, Final

import psycopg
import redis.exceptions
from django.db import DatabaseError, InterfaceError
from django.db.backends.signals import connection_created
from kombu.exceptions import OperationalError as BrokerError

from postgresql.availability import Unavailable, why_unavailable

logger = logging.getLogger(__name__)

# Failures that come and go within this time, such as too many connections, count as one outage with one traceback.
SAME_OUTAGE_SECONDS: Final = 60.0
REPEATED_AFTER_SECONDS: Final = 60.0  # the same line of a timer or a task
REQUESTS: Final = "django.request"  # the logger of failed requests
# redis-py treats these as connection errors, but Redis can be reached, and a setting has to be changed.
REDIS_REFUSES: Final = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthorizationError,
    redis.exceptions.MaxConnectionsError,
)


class LogAs(Enum):
    """How a failure is logged."""

    TRACEBACK = auto()
    LINE = auto()
    NOTHING = auto()


class Outage:
    """An outage of one service, as this process sees it. Thread-safe.

    If nothing shows that it `has_end`, it is over once it has not failed for SAME_OUTAGE_SECONDS.
    """

    def __init__(self, service: str, *, has_end: bool = True) -> None:
        self._service, self._has_end = service, has_end
        self.forget()

    def forget(self) -> None:
        """Reset, as in a new process."""
        self._lock = threading.Lock()
        self._began_at: float | None = None
        self._failed_at = self._ended_at = float("-inf")
        self._failures = 0
        self._traceback_logged = self._is_logged = False
        self._lines: dict[object, float] = {}  # when each was last logged

    def failed(self, line: object, *, has_traceback: bool, is_repeated: bool) -> LogAs:
        """Count a failure, and return how to log it. A line that `is_repeated` is logged each time."""
        with self._lock:
            self._begin(time.monotonic())
            self._failures += 1
            is_due = (
                self._failed_at - self._lines.get(line, float("-inf"))
                >= REPEATED_AFTER_SECONDS
            )
            is_first = has_traceback and not self._traceback_logged
            if not (is_first or is_due or is_repeated):
                return LogAs.NOTHING
            self._lines[line] = self._failed_at
            self._is_logged, self._traceback_logged = (
                True,
                self._traceback_logged or has_traceback,
            )
            return LogAs.TRACEBACK if is_first else LogAs.LINE

    def _begin(self, now: float) -> None:
        """Note a failure now, and begin a new outage if it is the first one."""
        if not self._has_end and now - self._failed_at >= SAME_OUTAGE_SECONDS:
            self._began_at, self._ended_at = None, self._failed_at
        self._failed_at = now
        if self._began_at is None:
            self._began_at, self._failures, self._is_logged = now, 0, False
            is_recent = now - self._ended_at < SAME_OUTAGE_SECONDS
            self._traceback_logged = self._traceback_logged and is_recent

    def ended(self) -> None:
        """If an outage was on that the log shows, log how often it failed and for how long.

        An idle process may learn of the end hours later, so the line also says how long ago the last failure was.
        """
        # Checked without the lock, because each new connection calls this.
        if self._began_at is None:
            return
        with self._lock:
            began_at, failures = self._began_at, self._failures
            self._began_at, self._ended_at = None, time.monotonic()
            is_logged, ago = self._is_logged, self._ended_at - self._failed_at
        if began_at is not None and is_logged:
            often = "once"
            if failures != 1:
                often = f"{failures} times in {self._failed_at - began_at:.1f} s"
            logger.warning(
                "%s is back. It failed %s, the last time %.1f s ago.",
                self._service,
                often,
                ago,
            )


DATABASE: Final = Outage("The database")
# Full, read-only or without memory: it can be reached, so a new connection shows nothing.
REFUSING_DATABASE: Final = Outage("The database", has_end=False)
BROKER: Final = Outage("The broker")
DATABASES: Final = {
    Unavailable.UNREACHABLE: DATABASE,
    Unavailable.OVERLOADED: REFUSING_DATABASE,
    Unavailable.NO_SPACE: REFUSING_DATABASE,
    Unavailable.READ_ONLY: REFUSING_DATABASE,
    Unavailable.TOO_SLOW: None,  # no outage: which statement it was matters each time
}


class OncePerOutage(logging.Filter):
    """Removes the traceback from all failures of an outage but the first, and adds the error to their line.

    Drops the lines of timers and tasks that say again what they said within the last minute.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = _error_of(record)
        outage = _outage_of(error) if error is not None else None
        if outage is None:
            return True
        # Without its arguments: each task has its own id.
        line = record.name, record.msg
        has_traceback, is_repeated = bool(record.exc_info), record.name == REQUESTS
        log_as = outage.failed(
            line, has_traceback=has_traceback, is_repeated=is_repeated
        )
        if has_traceback and log_as is LogAs.LINE:
            _shorten(record, error)
        return log_as is not LogAs.NOTHING


def _shorten(record: logging.LogRecord, error: BaseException | None) -> None:
    """Put the error into the record's line, in place of its traceback."""
    message = record.getMessage()
    name = type(error).__name__
    record.msg, record.args = (
        (message if name in message else f"{message} ({name}: {error})"),
        None,
    )
    record.exc_info = record.exc_text = None


def listen() -> None:
    """Treat each new connection to the database as the end of an outage."""
    connection_created.connect(
        _on_database_connection, dispatch_uid="leadmachine.outages"
    )
    os.register_at_fork(after_in_child=_forget)


def _on_database_connection(**kwargs: Any) -> None:
    DATABASE.ended()


def _forget() -> None:
    for outage in (DATABASE, REFUSING_DATABASE, BROKER):
        outage.forget()


def _error_of(record: logging.LogRecord) -> BaseException | None:
    """Return the error of the record's traceback, or one among its arguments (as Celery logs the broker's)."""
    if record.exc_info and record.exc_info[1]:
        return record.exc_info[1]
    args = record.args if isinstance(record.args, tuple) else ()
    return next((arg for arg in args if isinstance(arg, BaseException)), None)


def _outage_of(error: BaseException) -> Outage | None:
    # Only the direct cause: an error during error handling is a different one.
    cause = error.__cause__ if isinstance(error, DatabaseError | BrokerError) else error
    if isinstance(error, DatabaseError | InterfaceError | psycopg.Error) and (
        reason := why_unavailable(error)
    ):
        return DATABASES[reason]
    if isinstance(
        cause, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError
    ):
        return None if isinstance(cause, REDIS_REFUSES) else BROKER
    # A replica that is not promoted yet, or Redis out of memory: temporary, but until then every write fails.
    if isinstance(
        cause, redis.exceptions.ReadOnlyError | redis.exceptions.OutOfMemoryError
    ):
        return BROKER
    return None
