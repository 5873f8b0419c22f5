"""The identity of this installation. Several may share one Redis, and must not read each other's messages."""

from functools import cache
from hashlib import blake2b
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, NotSupportedError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from postgresql.identity import IDENTITY

# The database is down, or its settings or version are wrong, which has checks of its own.
UNUSABLE: Final = (
    ImproperlyConfigured,
    InterfaceError,
    NotSupportedError,
    OperationalError,
)


@cache
def name() -> str:
    """Return a name that all processes on one database share, whatever its address, and that no other database has.

    Raises django.db.Error if the database can't be queried. Errors are not cached.
    """
    return settings.INSTALLATION or _digest(identity())


def cache_key(key: str, prefix: str, version: int) -> str:
    """Return the key in Redis for the cache's `key`. Used as the cache's KEY_FUNCTION."""
    return f"{prefix}:{name()}:{version}:{key}"


def identity() -> str:
    """Return what distinguishes the database from any other. Raises as `name`, whatever the settings."""
    # A separate connection: an error must not abort the transaction of a save.
    connection: BaseDatabaseWrapper = connections.create_connection("default")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {IDENTITY}")
            return str(cursor.fetchone()[0])
    finally:
        connection.close()


def _digest(identity: str) -> str:
    return blake2b(identity.encode(), digest_size=6).hexdigest()
