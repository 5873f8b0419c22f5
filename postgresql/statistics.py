"""How soon PostgreSQL counts the rows of a table again, to plan by.

It does so once a tenth of a table has changed. What it hasn't counted, it takes for a single row: a company that was
new in a large installation had pages that compared each of its leads with all of them, for as long as others had ten
times as many. With 30,000 leads, its list of organisations took 8 seconds instead of 0.02.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from django.db.migrations import RunPython

CHANGED_ROWS: Final = 2_000  # after which a table is counted again, once a minute at most
OFTEN: Final = f"SET (autovacuum_analyze_threshold = {CHANGED_ROWS}, autovacuum_analyze_scale_factor = 0)"
AS_USUAL: Final = "RESET (autovacuum_analyze_threshold, autovacuum_analyze_scale_factor)"


def count_often(*tables: str) -> RunPython:
    """The operation of a migration that has these tables counted after CHANGED_ROWS, however large they are.

    Settings of a table: https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-STORAGE-PARAMETERS
    """
    return RunPython(partial(_alter, tables, OFTEN), partial(_alter, tables, AS_USUAL))


def _alter(tables: Sequence[str], change: str, apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        for table in tables:
            editor.execute(f"ALTER TABLE {editor.quote_name(table)} {change}")
