"""Locks of a database that mean what we say they mean: one holder at a time, of any process on any machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

REHEARSAL: Final = 7_211_001
MIGRATION: Final = 7_211_002
POLL_SECONDS: Final = 0.5


@contextmanager
def try_lock(database: BaseDatabaseWrapper, lock: int) -> Iterator[bool]:
    """Hold a lock within this block, and yield True, or False if someone else holds it.

    On a connection of its own, so it ends with the process, and not when `database` is closed. In a transaction, so
    that a pooler can't leave it behind.
    """
    holder = database.copy()
    try:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
            [is_ours] = cursor.fetchone()
            # After the query, whose snapshot would stay until the next statement: CREATE INDEX CONCURRENTLY waits for
            # the end of each transaction that has an older one.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield is_ours
    finally:
        holder.close()


@contextmanager
def wait_for_lock(database: BaseDatabaseWrapper, lock: int) -> Iterator[None]:
    """Hold a lock within this block, as soon as no one else does.

    A statement that waited in the database would keep CREATE INDEX CONCURRENTLY waiting for it.
    """
    while True:
        with try_lock(database, lock) as is_ours:
            if is_ours:
                yield
                return
        time.sleep(POLL_SECONDS)
