"""Which migrations this version has."""

from collections.abc import Iterable
from typing import Final

from django.core.management import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

OURS: Final = ("capi", "crm")


def unknown(applied: Iterable[str]) -> list[str]:
    """Return those of our migrations, such as `crm.0001_initial`, that this version does not have, in order."""
    on_disk = MigrationLoader(None).disk_migrations
    known = {f"{app}.{name}" for app, name in on_disk}
    ours = {name for name in applied if name.partition(".")[0] in OURS}
    return sorted(ours - known)


def require(database: BaseDatabaseWrapper) -> None:
    """Raise CommandError if a newer version has migrated this database."""
    applied = MigrationRecorder(database).applied_migrations()
    found = unknown(f"{app}.{name}" for app, name in applied)
    if found:
        names = (
            found[-1] if len(found) == 1 else f"{found[-1]} and {len(found) - 1} more"
        )
        raise CommandError(
            "This database was made by a version of LeadMachine whose migrations this one does not have "
            f"({names}), so nothing was changed. Run that version, restore a backup of before it, or start with an "
            "empty database; for `make run`: remove the folder var/."
        )
