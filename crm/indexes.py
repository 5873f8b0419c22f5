"""An index on a table that may be large, made while others write to it."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class AddIndexUnblocked(AddIndexConcurrently):
    """As AddIndex, but no save and no delivery waits for it on PostgreSQL: 3 s for a million rows, and more for more.

    Its migration can't be atomic. An index that was broken off stays behind as an invalid one of that name, and is
    dropped first, so that the migration can be run again. SQLite has no such way and a database of a few rows.
    """

    def database_forwards(self, app_label: str, editor: Any, from_state: Any, to_state: Any) -> None:
        if editor.connection.vendor == "postgresql":
            editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {editor.quote_name(self.index.name)}")
            super().database_forwards(app_label, editor, from_state, to_state)
        else:
            migrations.AddIndex.database_forwards(self, app_label, editor, from_state, to_state)

    def database_backwards(self, app_label: str, editor: Any, from_state: Any, to_state: Any) -> None:
        if editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, editor, from_state, to_state)
        else:
            migrations.AddIndex.database_backwards(self, app_label, editor, from_state, to_state)
