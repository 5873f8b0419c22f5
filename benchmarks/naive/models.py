"""The baseline's log: one row per sent event."""

from django.db import models


class Log(models.Model):
    lead_id = models.BigIntegerField()
    status = models.IntegerField()
    sent_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.lead_id}: {self.status}"


class Narrow(models.Model):
    """The narrowest row that can be inserted and updated: the physical limit of this PostgreSQL."""

    state = models.SmallIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.pk)
