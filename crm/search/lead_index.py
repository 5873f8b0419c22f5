"""The search text of each lead and its trigram index, which the database itself keeps up to date.

A generated column with a GIN index: a save needs no extra statement, and changes by plain SQL are included. An erasure
empties the text along with the columns it is made of.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from django.core.management import CommandError
from django.db import migrations
from django.db.utils import DatabaseError

from crm.search.folding import folded_sql

EXTENSIONS: Final = ("pg_trgm", "btree_gin")
MAY_NOT: Final = (
    "The search needs PostgreSQL's extensions pg_trgm and btree_gin, and they could not be created: {error}\n"
    "Install PostgreSQL's contrib modules if they are missing. Then let a superuser run “CREATE EXTENSION pg_trgm; "
    "CREATE EXTENSION btree_gin;” in this database, and migrate again. Nothing was changed."
)
# New entries wait in a pending list, which a save merges into the index when it is full. That takes 80 ms for 256 kB,
# which are some 100 leads, and more than a second for the usual 4 MB.
INDEX: Final = (
    "CREATE INDEX lead_search ON crm_lead USING gin (company_id, search_text gin_trgm_ops) "
    "WITH (gin_pending_list_limit = 256)"
)


def search_column(*columns: str) -> migrations.RunPython:
    """Give each lead a search text made of these columns. The last one is the phone number."""
    return migrations.RunPython(partial(_add_column, columns), _drop_column)


def _add_column(columns: Sequence[str], apps: Any, editor: Any) -> None:
    _create_extensions(editor)
    text = _expression(columns)
    editor.execute(
        f"ALTER TABLE crm_lead ADD COLUMN search_text text GENERATED ALWAYS AS ({text}) STORED",
        None,
    )
    editor.execute(INDEX, None)


def _drop_column(apps: Any, editor: Any) -> None:
    editor.execute("ALTER TABLE crm_lead DROP COLUMN search_text", None)


def _create_extensions(editor: Any) -> None:
    """Create the extensions if they are missing. Raises CommandError if rights or modules are missing for that."""
    try:
        for name in EXTENSIONS:
            editor.execute(f"CREATE EXTENSION IF NOT EXISTS {name}", None)
    except DatabaseError as error:
        raise CommandError(MAY_NOT.format(error=str(error).strip())) from error


def _expression(columns: Sequence[str]) -> str:
    """`search_text()` in SQL."""
    *texts, phone = columns
    text = folded_sql(" || ' ' || ".join(texts))
    return f"' ' || {text} || ' ' || regexp_replace({phone}, '[^0-9]+', '', 'g')"
