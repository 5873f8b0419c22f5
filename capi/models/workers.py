"""What the workers of an installation write down: the last round of their sweep, and whose turn the housekeeping is."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# --- Signs of life of what runs beside the web server.

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


# --- The turn of the daily housekeeping, for all workers of the installation.

EVERY: Final = timedelta(days=1)
# Of a worker that died. One that lives renews its claim before each batch and each day that it counts, between which
# there are few statements; one of them may take ten minutes (postgresql.bounds.HOUSEKEEPING_SECONDS).
LAPSES: Final = timedelta(minutes=30)
AGAIN: Final = timedelta(hours=1)  # where some of it failed


class HousekeepingManager(models.Manager["Housekeeping"]):
    def claim(self) -> uuid.UUID | None:
        """The claim to the turn that is due, None where none is or another worker has it. By the database's clock.

        The first turn is due a day after the first look: a new installation has nothing to delete.
        """
        self.bulk_create([Housekeeping(pk=1, done_at=Now())], ignore_conflicts=True)
        free = Q(claimed_until=None) | Q(claimed_until__lte=Now())
        claim_id = uuid.uuid4()
        due = self.filter(free, done_at__lte=Now() - EVERY)
        return claim_id if due.update(claim_id=claim_id, claimed_until=Now() + LAPSES) else None

    def renew(self, claim_id: uuid.UUID) -> bool:
        """Keep the claim for a while more. False where it has lapsed and another worker has taken the turn."""
        return bool(self.filter(claim_id=claim_id).update(claimed_until=Now() + LAPSES))

    def finish(self, claim_id: uuid.UUID) -> None:
        """The turn is done; the next one is due in a day."""
        self.filter(claim_id=claim_id).update(claim_id=None, claimed_until=None, done_at=Now())

    def give_up(self, claim_id: uuid.UUID) -> None:
        """Some of it failed: let nobody try again for an hour."""
        self.filter(claim_id=claim_id).update(claim_id=None, claimed_until=Now() + AGAIN)


class Housekeeping(models.Model):
    """The daily housekeeping: one row, in the database, which outlives every worker and its container."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    done_at = models.DateTimeField()
    claim_id = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)

    objects: ClassVar[HousekeepingManager] = HousekeepingManager()

    def __str__(self) -> str:
        return f"Housekeeping, last done at {self.done_at}"
