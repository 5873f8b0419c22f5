"""Which migrations this version has."""

from collections.abc import Iterable
from typing import Final

from django.db.migrations.loader import MigrationLoader

OURS: Final = ("capi", "crm")


def unknown(applied: Iterable[str]) -> list[str]:
    """Return those of our migrations, such as `crm.0001_initial`, that this version does not have, in order."""
    on_disk = MigrationLoader(None).disk_migrations
    known = {f"{app}.{name}" for app, name in on_disk}
    ours = {name for name in applied if name.partition(".")[0] in OURS}
    return sorted(ours - known)
