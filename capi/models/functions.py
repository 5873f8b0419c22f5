"""The database's clock, and event ids by time: rows are written in time order."""

from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from capi.models import ConversionEvent, ConversionEventQuerySet
from capi.models.lookups import EQUALS

# The database's clock, where Python needs the value: workers' own clocks may be wrong and differ.


def database_now() -> datetime:
    """The current time by the database's clock (one round trip)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]  # type: ignore[no-any-return]


WEEK: Final = timedelta(weeks=1)

# A binary search over ids for the first row at or after a moment: some 25 index look-ups in one query. An index on
# the time would slow down every insert.
SEARCH: Final = """
    WITH RECURSIVE search (low, high) AS (
        SELECT (SELECT id FROM {table} WHERE {own} ORDER BY company_id DESC, id LIMIT 1),
               (SELECT id + 1 FROM {table} WHERE {own} ORDER BY company_id, id DESC LIMIT 1)
        UNION ALL
        SELECT CASE WHEN probe.created_at < %s THEN probe.id + 1 ELSE search.low END,
               CASE WHEN probe.created_at < %s THEN search.high ELSE (search.low + search.high) / 2 END
        FROM search JOIN {table} AS probe ON probe.id = (
            SELECT id FROM {table} WHERE {own} AND id >= (search.low + search.high) / 2
            ORDER BY company_id DESC, id LIMIT 1
        )
        WHERE search.low < search.high
    )
    SELECT MAX(low) FROM search
"""


def first_id_since(company_id: int, moment: datetime) -> int:
    """The lowest id of the company's events recorded at or after `moment`; 0 if it has no events."""
    with connection.cursor() as cursor:
        search = SEARCH.format(
            table=ConversionEvent._meta.db_table, own=EQUALS.format("company_id")
        )
        cursor.execute(search, [company_id, company_id, moment, moment, company_id])
        return cursor.fetchone()[0] or 0


def id_behind(events: ConversionEventQuerySet, count: int) -> int | None:
    """The id of the event after the first `count`, None if there are no more than `count`."""
    return next(iter(events.values_list("pk", flat=True)[count : count + 1]), None)


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def days_ago(days: int) -> date:
    return timezone.localdate() - timedelta(days=days)
