"""Signs of life of what runs beside the web server."""

from datetime import datetime
from typing import ClassVar, Final

from django.db import models
from django.db.models.functions import Now

SWEEP: Final = "sweep"


class HeartbeatManager(models.Manager["Heartbeat"]):
    def beat(self, name: str) -> None:
        """Note that this was done just now, by the database's clock. One statement, whoever else does the same."""
        row = Heartbeat(name=name, beat_at=Now())
        self.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=["beat_at"])

    def last_of(self, name: str) -> datetime | None:
        """When it was done last, None if never."""
        return self.filter(pk=name).values_list("beat_at", flat=True).first()


class Heartbeat(models.Model):
    """When something was last done by any worker on any machine. In the database, which all of them share."""

    name = models.CharField(max_length=20, primary_key=True)
    beat_at = models.DateTimeField()

    objects: ClassVar[HeartbeatManager] = HeartbeatManager()

    def __str__(self) -> str:
        return self.name
