"""Reading thousands of rows at once."""

from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet


def fetch(rows: QuerySet[Model], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The columns of these rows, as `values_list` gives them.

    PostgreSQL is asked for its binary format: psycopg reads 5,000 events of it in 3 ms, where text takes it 16. And it
    is asked to read alone: to start a process that helps takes it longer (9 ms) than to read 5,000 by their index.
    """
    values = rows.values_list(*columns)
    if connection.vendor != "postgresql":
        return list(values)
    from psycopg.pq import Format

    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.cursor.format = Format.BINARY
        cursor.execute(*values.query.sql_with_params())
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
