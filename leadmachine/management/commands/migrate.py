"""Django's `migrate`, which refuses a database that another version of LeadMachine has migrated further."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from leadmachine import known_migrations


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        recorder = MigrationRecorder(connections[options["database"]])
        applied = recorder.applied_migrations()
        unknown = known_migrations.unknown(f"{app}.{name}" for app, name in applied)
        if unknown:
            names = (
                unknown[-1]
                if len(unknown) == 1
                else f"{unknown[-1]} and {len(unknown) - 1} more"
            )
            raise CommandError(
                "This database was made by a version of LeadMachine whose migrations this one does not have "
                f"({names}), so nothing was changed. Run that version, restore a backup of before it, or start with an "
                "empty database; for `make run`: remove the folder var/."
            )
        super().handle(*args, **options)
