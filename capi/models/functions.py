"""The database's clock, and from moments to ids: rows are written in the order of time."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from capi.models import ConversionEvent, ConversionEventQuerySet

# --- The database's clock, where Python needs the value. Workers' own clocks may be wrong; this one is one.


def database_now() -> datetime:
    """The moment, by the database (one round trip)."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT clock_timestamp()")
            return cursor.fetchone()[0]  # type: ignore[no-any-return]
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


# --- From moments and counts to ids: the log is in the order of its ids, and rows are written in the order of time.

WEEK: Final = timedelta(weeks=1)

# Halves the range of ids until the first row at or after the moment is left: some 25 look-ups in an index, in one
# query, where an index over the time would cost every insert.
SEARCH: Final = """
    WITH RECURSIVE search (low, high) AS (
        SELECT MIN(id), MAX(id) + 1 FROM {table} WHERE company_id = %s
        UNION ALL
        SELECT CASE WHEN probe.created_at < %s THEN probe.id + 1 ELSE search.low END,
               CASE WHEN probe.created_at < %s THEN search.high ELSE (search.low + search.high) / 2 END
        FROM search JOIN {table} AS probe ON probe.id = (
            SELECT id FROM {table} WHERE company_id = %s AND id >= (search.low + search.high) / 2 ORDER BY id LIMIT 1
        )
        WHERE search.low < search.high
    )
    SELECT MAX(low) FROM search
"""


def first_id_since(company_id: int, moment: datetime) -> int:
    """The lowest id that an event of the company recorded at or after `moment` can have; 0 where the log is empty."""
    since = connection.ops.adapt_datetimefield_value(moment)
    with connection.cursor() as cursor:
        cursor.execute(SEARCH.format(table=ConversionEvent._meta.db_table), [company_id, since, since, company_id])
        return cursor.fetchone()[0] or 0


def id_behind(events: ConversionEventQuerySet, count: int, *, order: str) -> int | None:
    """The id of the event that `count` others go before in this order, None where there are not so many."""
    return next(iter(events.order_by(order).values_list("pk", flat=True)[count : count + 1]), None)


def start_of(day: date) -> datetime:
    """The moment at which a day begins, in the time zone of the company whose page it is."""
    return timezone.make_aware(datetime.combine(day, time.min))


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def days_ago(days: int) -> date:
    return timezone.localdate() - timedelta(days=days)
