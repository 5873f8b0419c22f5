"""Which installation this is: several may share one Redis, and none may take what is another's."""

from functools import cache
from hashlib import blake2b
from pathlib import Path

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# The server's own number is made by initdb and kept by replicas and failovers; a dump that is restored elsewhere gets
# another. Any user may ask (PostgreSQL 16: 9.28.12, Control Data Functions), and through any address or pooler.
IDENTITY = """
    SELECT (SELECT system_identifier FROM pg_control_system()), oid FROM pg_database WHERE datname = current_database()
"""


@cache
def name() -> str:
    """The same in all processes on one database, however they spell its address, and different on any other.

    Raises django.db.Error where the database can't be reached or does not say; the next call asks again.
    """
    return settings.INSTALLATION or _digest(_identity())


def cache_key(key: str, prefix: str, version: int) -> str:
    """Where the shared cache keeps `key`."""
    return f"{prefix}:{name()}:{version}:{key}"


def _identity() -> str:
    # On a connection of its own: one that fails must not take the transaction of a save with it.
    connection: BaseDatabaseWrapper = connections.create_connection("default")
    if connection.vendor == "sqlite":
        return str(Path(connection.settings_dict["NAME"]).resolve())
    try:
        with connection.cursor() as cursor:
            cursor.execute(IDENTITY)
            return "/".join(map(str, cursor.fetchone()))
    finally:
        connection.close()


def _digest(identity: str) -> str:
    return blake2b(identity.encode(), digest_size=6).hexdigest()
