"""Which statements PostgreSQL plans once for each connection: those of a save, and no others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

USES_BEFORE: Final = 5  # of a statement, before it is kept


@contextmanager
def kept(connection: Any) -> Iterator[None]:
    """Within this, PostgreSQL keeps the plans of statements that come again: a third off every save.

    Only for statements that are planned as well without their values. Of a list of the events in one state it would
    forget the partial indexes, and read millions of rows of other companies to find that there is none.
    """
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    line = connection.connection
    line.prepare_threshold = USES_BEFORE
    try:
        yield
    finally:
        line.prepare_threshold = None
