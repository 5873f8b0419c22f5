"""Which database a row lives in: text that differs once the row was restored elsewhere, or copied.

The server's system identifier comes from initdb. A standby has the same, so a failover changes nothing; pg_upgrade
makes a new one. A database gets a new oid when it is created, also from a template, and a table when it is created, as
`pg_restore --clean` does. Any user may query all three (PostgreSQL 18: 9.28.12, Control Data Functions).
"""

from typing import Final

from django.db.models import CharField, Func

SYSTEM: Final = "(SELECT system_identifier FROM pg_control_system())"
DATABASE: Final = "(SELECT oid FROM pg_database WHERE datname = current_database())"
IDENTITY: Final = f"concat_ws('/', {SYSTEM}, {DATABASE})"


class TableIdentity(Func):
    """The identity of the table with this name, in this database."""

    template = f"concat_ws('/', {SYSTEM}, {DATABASE}, '%(table)s'::regclass::oid)"
    arity = 0
    output_field = CharField()

    def __init__(self, table: str) -> None:
        super().__init__(table=table)
