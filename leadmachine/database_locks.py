"""Locks of a database that mean what we say they mean: one holder at a time, of any process on any machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

REHEARSAL: Final = 7_211_001
MIGRATION: Final = 7_211_002


@contextmanager
def try_lock(database: BaseDatabaseWrapper, lock: int) -> Iterator[bool]:
    """Hold a lock within this block, and yield True, or False if someone else holds it.

    On a connection of its own, so it ends with the process, and not when `database` is closed.
    """
    holder = database.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
            [is_ours] = cursor.fetchone()
        yield is_ours
    finally:
        holder.close()
