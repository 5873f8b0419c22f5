"""Django's `migrate`, which refuses a database that another version of LeadMachine has migrated further."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from leadmachine import known_migrations
from leadmachine.database_locks import MIGRATION, wait_for_lock


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        database = connections[options["database"]]
        # Two at once would apply the same migration.
        with wait_for_lock(database, MIGRATION):
            known_migrations.require(database)
            super().handle(*args, **options)
