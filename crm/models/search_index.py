"""The search text of each lead and its trigram index, which the database itself keeps up to date.

PostgreSQL: a generated column with a GIN index. SQLite: an FTS5 table, written by triggers. A save needs no extra
statement, and changes by plain SQL are included. An erasure empties the text along with the columns it is made of.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from django.core.management import CommandError
from django.db import connections, migrations
from django.db.utils import DatabaseError

from crm.models.organisation import organisation_key
from crm.models.search import STABLE_COLLATION, folded, folded_sql, search_text

SEARCHED: Final = ("first_name", "last_name", "email", "organisation", "title", "phone")  # the phone number last
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
    """Give each lead a search text made of these columns, on PostgreSQL. The last one is the phone number."""
    return migrations.RunPython(partial(_add_column, columns), _drop_column)


def _add_column(columns: Sequence[str], apps: Any, editor: Any) -> None:
    if editor.connection.vendor != "postgresql":
        return
    _create_extensions(editor)
    expression = _expression(columns, has_collation=editor.connection.pg_version >= STABLE_COLLATION)
    editor.execute(f"ALTER TABLE crm_lead ADD COLUMN search_text text GENERATED ALWAYS AS ({expression}) STORED", None)
    editor.execute(INDEX, None)


def _drop_column(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE crm_lead DROP COLUMN search_text", None)


def _create_extensions(editor: Any) -> None:
    """Create the extensions if they are missing. Raises CommandError if rights or modules are missing for that."""
    try:
        for name in EXTENSIONS:
            editor.execute(f"CREATE EXTENSION IF NOT EXISTS {name}", None)
    except DatabaseError as error:
        raise CommandError(MAY_NOT.format(error=str(error).strip())) from error


def _expression(columns: Sequence[str], *, has_collation: bool) -> str:
    """`search_text()` in SQL."""
    *texts, phone = columns
    text = folded_sql(" || ' ' || ".join(texts), has_collation=has_collation)
    return f"' ' || {text} || ' ' || regexp_replace({phone}, '[^0-9]+', '', 'g')"


# SQLite

TABLE: Final = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS crm_lead_search USING fts5 (text, tokenize='trigram case_sensitive 1')"
)
FORGET_AT_ONCE: Final = "INSERT INTO crm_lead_search (crm_lead_search, rank) VALUES ('secure-delete', 1)"
SECURE_DELETE: Final = (3, 42)  # version of SQLite from which FTS5 can do that
CHANGED: Final = " OR ".join(f"old.{column} IS NOT new.{column}" for column in SEARCHED)
NEW_TEXT: Final = f"lead_search_text({', '.join(f'new.{column}' for column in SEARCHED)})"
ADD: Final = "INSERT INTO crm_lead_search (rowid, text) VALUES (new.id, {new_text})"
CHANGE: Final = "UPDATE crm_lead_search SET text = {new_text} WHERE rowid = new.id"
ON_INSERT: Final = ADD.format(new_text=NEW_TEXT)
ON_UPDATE: Final = CHANGE.format(new_text=NEW_TEXT)
ON_DELETE: Final = "DELETE FROM crm_lead_search WHERE rowid = old.id"
TRIGGERS: Final = {
    "lead_search_insert": f"AFTER INSERT ON crm_lead BEGIN {ON_INSERT}; END",
    "lead_search_update": f"AFTER UPDATE ON crm_lead WHEN {CHANGED} BEGIN {ON_UPDATE}; END",
    "lead_search_delete": f"AFTER DELETE ON crm_lead BEGIN {ON_DELETE}; END",
}
ADD_ALL: Final = "INSERT INTO crm_lead_search (rowid, text) SELECT id, {text} FROM crm_lead"
REBUILD: Final = ADD_ALL.format(text=f"lead_search_text({', '.join(SEARCHED)})")


def give_functions(connection: Any, **_: Any) -> None:
    """Let a new connection to SQLite call `search_text()`, `folded()` and `organisation_key()`.

    Receives connection_created.
    """
    if connection.vendor == "sqlite":
        connection.connection.create_function("lead_search_text", len(SEARCHED), search_text, deterministic=True)
        for function in (folded, organisation_key):
            connection.connection.create_function(function.__name__, 1, _or_null(function), deterministic=True)


def _or_null(function: Callable[[str], str]) -> Callable[[str | None], str | None]:
    return lambda text: None if text is None else function(text)


def keep_up_to_date(sender: Any, using: str, **_: Any) -> None:
    """Create the table and its triggers on SQLite. Receives post_migrate.

    Not a migration: one that changes crm_lead on SQLite recreates the table, and drops its triggers.
    """
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        if "crm_lead" in tables and _triggers(cursor) != {name: _create(name) for name in TRIGGERS}:
            _build(cursor, connection)


def _build(cursor: Any, connection: Any) -> None:
    cursor.execute(TABLE)
    if connection.Database.sqlite_version_info >= SECURE_DELETE:
        cursor.execute(FORGET_AT_ONCE)
    cursor.execute("DELETE FROM crm_lead_search")
    for name in TRIGGERS:
        cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute(_create(name))
    cursor.execute(REBUILD)


def _create(name: str) -> str:
    return f"CREATE TRIGGER {name} {TRIGGERS[name]}"


def _triggers(cursor: Any) -> dict[str, str]:
    cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'crm_lead'")
    return dict(cursor.fetchall())
