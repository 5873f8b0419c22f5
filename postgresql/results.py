"""The format in which PostgreSQL sends the rows of a query."""

from typing import Any


def send_as_binary(cursor: Any) -> None:
    """Make PostgreSQL send the results of this Django cursor in its binary format.

    psycopg then reads numbers and times in a fifth of the time, and bytes take half the memory.
    """
    from psycopg.pq import Format

    cursor.cursor.format = Format.BINARY
