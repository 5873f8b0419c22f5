"""Django's `migrate`, which refuses a database that another version of LeadMachine has migrated further."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from leadmachine import known_migrations


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        known_migrations.require(connections[options["database"]])
        super().handle(*args, **options)
