"""An outage in the log: one traceback when it begins, a line for each further failure, and a line when it is over.

Each process counts for itself, from the first failed connection that it logs to the next connection that it makes.
Whatever is no failure of a connection keeps its traceback at all times.
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

# What comes and goes, such as too many connections, is one outage: its traceback is not logged again each second.
SAME_OUTAGE_SECONDS: Final = 60.0

# PostgreSQL's codes for: shut down, crashed, starting up, idle too long, too many connections. Where it was not there
# to give a code there is none. Deadlocks, full disks and cancelled statements have codes of their own.
CONNECTION_IS_GONE: Final = ("57P01", "57P02", "57P03", "57P05", "53300")
# For redis-py these are connection errors. But Redis answers, and somebody has to change a setting.
REDIS_REFUSES: Final = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthorizationError,
    redis.exceptions.MaxConnectionsError,
)


class Outage:
    """A part of the installation that is out of reach, as this process sees it. Any thread may speak of it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.forget()

    def forget(self) -> None:
        """Begin as a new process does."""
        self._lock = threading.Lock()
        self._began_at: float | None = None
        self._failed_at = self._ended_at = float("-inf")
        self._failures = 0
        self._is_in_the_log = False

    def failed(self, *, has_traceback: bool) -> bool:
        """Count a failure. True where it has the first traceback of this outage, which is to be logged."""
        with self._lock:
            self._failed_at = time.monotonic()
            if self._began_at is None:
                self._began_at, self._failures = self._failed_at, 0
                self._is_in_the_log = self._is_in_the_log and self._began_at - self._ended_at < SAME_OUTAGE_SECONDS
            self._failures += 1
            is_first = has_traceback and not self._is_in_the_log
            self._is_in_the_log = self._is_in_the_log or has_traceback
            return is_first

    def ended(self) -> None:
        """Say how often it failed and for how long, if it is on.

        An idle process may learn of the end hours later: so the line tells, too, how long ago the last failure was.
        """
        if self._began_at is None:  # asked for each new connection: without the lock
            return
        with self._lock:
            began_at, failures = self._began_at, self._failures
            self._began_at, self._ended_at = None, time.monotonic()
            ago = self._ended_at - self._failed_at
        if began_at is not None:
            often = "once" if failures == 1 else f"{failures} times in {self._failed_at - began_at:.1f} s"
            logger.warning("%s answers again. It had failed %s, the last time %.1f s ago.", self._what, often, ago)


DATABASE: Final = Outage("The database")
BROKER: Final = Outage("The broker")


class OncePerOutage(logging.Filter):
    """Takes the traceback off all failures of an outage but the first, and puts the error into their line."""

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
    """Take each new connection to the database for the end of an outage of it."""
    connection_created.connect(_database_answers, dispatch_uid="leadmachine.outages")
    os.register_at_fork(after_in_child=_forget)


def _database_answers(**kwargs: Any) -> None:
    DATABASE.ended()


def _forget() -> None:
    for outage in (DATABASE, BROKER):
        outage.forget()


def _error_of(record: logging.LogRecord) -> BaseException | None:
    """What the record is about: the error of its traceback, or one in its words (as Celery names the broker's)."""
    if record.exc_info and record.exc_info[1]:
        return record.exc_info[1]
    words = record.args if isinstance(record.args, tuple) else ()
    return next((word for word in words if isinstance(word, BaseException)), None)


def _outage_of(error: BaseException) -> Outage | None:
    # The direct cause alone: what goes wrong while an error is handled is another error.
    cause = error.__cause__ if isinstance(error, DatabaseError | BrokerError) else error
    if isinstance(cause, psycopg.OperationalError):
        code = cause.sqlstate
        return DATABASE if code is None or code.startswith("08") or code in CONNECTION_IS_GONE else None
    if isinstance(cause, sqlite3.OperationalError):
        return DATABASE if cause.sqlite_errorcode == sqlite3.SQLITE_CANTOPEN else None
    if isinstance(cause, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return None if isinstance(cause, REDIS_REFUSES) else BROKER
    # A replica that is not promoted yet, or no room left: it refuses each write until that has passed.
    return BROKER if isinstance(cause, redis.exceptions.ReadOnlyError | redis.exceptions.OutOfMemoryError) else None
