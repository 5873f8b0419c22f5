"""How an outage appears in the log: one traceback at the start, a line for each further failure, a line at the end.

Each process counts for itself, from the first failed connection that it logs to its next successful one. Errors that
are not connection failures always keep their traceback.
"""

import logging
import os
import sqlite3
import threading
import time
from typing import Any, Final

import psycopg
import redis.exceptions
from django.db import DatabaseError
from django.db.backends.signals import connection_created
from kombu.exceptions import OperationalError as BrokerError

logger = logging.getLogger(__name__)

# Failures that come and go within this time, such as too many connections, count as one outage with one traceback.
SAME_OUTAGE_SECONDS: Final = 60.0

# PostgreSQL's codes for: shut down, crashed, starting up, idle too long, too many connections. An unreachable server
# sends no code. Deadlocks, full disks and cancelled statements have other codes.
CONNECTION_LOST: Final = ("57P01", "57P02", "57P03", "57P05", "53300")
# redis-py treats these as connection errors, but Redis can be reached, and a setting has to be changed.
REDIS_REFUSES: Final = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthorizationError,
    redis.exceptions.MaxConnectionsError,
)


class Outage:
    """An outage of one service, as this process sees it. Thread-safe."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.forget()

    def forget(self) -> None:
        """Reset, as in a new process."""
        self._lock = threading.Lock()
        self._began_at: float | None = None
        self._failed_at = self._ended_at = float("-inf")
        self._failures = 0
        self._traceback_logged = False

    def failed(self, *, has_traceback: bool) -> bool:
        """Count a failure. Returns True if it has the outage's first traceback, which should be logged."""
        with self._lock:
            self._failed_at = time.monotonic()
            if self._began_at is None:
                self._began_at, self._failures = self._failed_at, 0
                is_recent = self._began_at - self._ended_at < SAME_OUTAGE_SECONDS
                self._traceback_logged = self._traceback_logged and is_recent
            self._failures += 1
            is_first = has_traceback and not self._traceback_logged
            self._traceback_logged = self._traceback_logged or has_traceback
            return is_first

    def ended(self) -> None:
        """If an outage was on, log how often it failed and for how long.

        An idle process may learn of the end hours later, so the line also says how long ago the last failure was.
        """
        if self._began_at is None:  # checked without the lock, because each new connection calls this
            return
        with self._lock:
            began_at, failures = self._began_at, self._failures
            self._began_at, self._ended_at = None, time.monotonic()
            ago = self._ended_at - self._failed_at
        if began_at is not None:
            often = "once" if failures == 1 else f"{failures} times in {self._failed_at - began_at:.1f} s"
            logger.warning("%s is back. It failed %s, the last time %.1f s ago.", self._service, often, ago)


DATABASE: Final = Outage("The database")
BROKER: Final = Outage("The broker")


class OncePerOutage(logging.Filter):
    """Removes the traceback from all failures of an outage but the first, and adds the error to their line."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = _error_of(record)
        outage = _outage_of(error) if error is not None else None
        if outage is not None and not outage.failed(has_traceback=bool(record.exc_info)) and record.exc_info:
            message = record.getMessage()
            name = type(error).__name__
            record.msg, record.args = (message if name in message else f"{message} ({name}: {error})"), None
            record.exc_info = record.exc_text = None
        return True


def listen() -> None:
    """Treat each new connection to the database as the end of an outage."""
    connection_created.connect(_on_database_connection, dispatch_uid="leadmachine.outages")
    os.register_at_fork(after_in_child=_forget)


def _on_database_connection(**kwargs: Any) -> None:
    DATABASE.ended()


def _forget() -> None:
    for outage in (DATABASE, BROKER):
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
    if isinstance(cause, psycopg.OperationalError):
        code = cause.sqlstate
        return DATABASE if code is None or code.startswith("08") or code in CONNECTION_LOST else None
    if isinstance(cause, sqlite3.OperationalError):
        return DATABASE if cause.sqlite_errorcode == sqlite3.SQLITE_CANTOPEN else None
    if isinstance(cause, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return None if isinstance(cause, REDIS_REFUSES) else BROKER
    # A replica that is not promoted yet, or Redis out of memory: temporary, but until then every write fails.
    return BROKER if isinstance(cause, redis.exceptions.ReadOnlyError | redis.exceptions.OutOfMemoryError) else None
