"""The database's clock, where Python needs the value. Workers' own clocks may be wrong; this one is one."""

from datetime import UTC, datetime

from django.db import connection


def database_now() -> datetime:
    """The moment, by the database (one round trip)."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT clock_timestamp()")
            return cursor.fetchone()[0]  # type: ignore[no-any-return]
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
