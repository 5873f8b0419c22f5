"""Heartbeats of workers, and the claim on the daily housekeeping."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

SWEEP: Final = "sweep"
BACKUP: Final = "backup"
REHEARSAL: Final = "rehearsal"


class HeartbeatManager(models.Manager["Heartbeat"]):
    def beat(self, name: str) -> None:
        """Record that this was done now, by the database's clock. One statement, safe alongside other workers."""
        row = Heartbeat(name=name, beat_at=Now())
        self.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["beat_at"],
        )

    def last_of(self, name: str) -> datetime | None:
        """When this was last done, None if never."""
        return self.filter(pk=name).values_list("beat_at", flat=True).first()


class Heartbeat(models.Model):
    """When any worker last did something, or an operator made a backup or rehearsed an upgrade, on any machine."""

    name = models.CharField(max_length=20, primary_key=True)
    beat_at = models.DateTimeField()

    objects: ClassVar[HeartbeatManager] = HeartbeatManager()

    def __str__(self) -> str:
        return self.name


EVERY: Final = timedelta(days=1)
# How long a dead worker keeps its claim. A live one renews it before each batch and each day that it counts. Few
# statements run in between, and one of them may take ten minutes (postgresql.bounds.HOUSEKEEPING_SECONDS).
LAPSES: Final = timedelta(minutes=30)


class HousekeepingManager(models.Manager["Housekeeping"]):
    def claim(self) -> uuid.UUID | None:
        """Claim the housekeeping. None if it isn't due by the database's clock, or another worker has claimed it.

        It is first due a day after the first call: a new installation has nothing to delete.
        """
        self.bulk_create([Housekeeping(pk=1, done_at=Now())], ignore_conflicts=True)
        free = Q(claimed_until=None) | Q(claimed_until__lte=Now())
        claim_id = uuid.uuid4()
        due = self.filter(free, done_at__lte=Now() - EVERY)
        if due.update(claim_id=claim_id, claimed_until=Now() + LAPSES):
            return claim_id
        return None

    def renew(self, claim_id: uuid.UUID) -> bool:
        """Extend the claim. False if it has expired and another worker has claimed the housekeeping."""
        return bool(self.filter(claim_id=claim_id).update(claimed_until=Now() + LAPSES))

    def finish(self, claim_id: uuid.UUID) -> None:
        """Release the claim. The next housekeeping is due in a day."""
        self.filter(claim_id=claim_id).update(
            claim_id=None, claimed_until=None, done_at=Now()
        )

    def give_up(self, claim_id: uuid.UUID) -> None:
        """Some of it failed: no worker tries again for an hour."""
        # After a failure.
        self.filter(claim_id=claim_id).update(
            claim_id=None, claimed_until=Now() + timedelta(hours=1)
        )


class Housekeeping(models.Model):
    """The daily housekeeping: a single row, in the database because that outlives workers and their containers."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    done_at = models.DateTimeField()
    claim_id = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)

    objects: ClassVar[HousekeepingManager] = HousekeepingManager()

    def __str__(self) -> str:
        return f"Housekeeping, last done at {self.done_at}"
