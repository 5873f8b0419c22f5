"""Counts of events by day, kept after the events themselves are deleted."""

import math
from collections.abc import Mapping
from typing import ClassVar, Final

from django.db import models
from django.db.models import BigIntegerField, F, FloatField, Func, Value
from django.db.models.functions import Cast, Floor, Greatest, Least, Ln

from capi.models.rule import ConversionRule
from crm.models.tenancy import CompanyQuerySet


class DayCount(models.Model):
    """How many of a rule's events, recorded on one day in the company's time zone, have this state and reason.

    `bucket` is how long LinkedIn took to accept them (`bucket_between`); 0 for events it has not accepted. Test events
    are left out.
    """

    company = models.ForeignKey(
        "crm.Company",
        on_delete=models.CASCADE,
        related_name="day_counts",
        db_index=False,
    )
    rule = models.ForeignKey(
        ConversionRule,
        on_delete=models.RESTRICT,
        related_name="day_counts",
        db_index=False,
    )
    day = models.DateField()
    state = models.CharField(max_length=10)
    reason = models.CharField(max_length=30, blank=True)
    bucket = models.PositiveSmallIntegerField(default=0)
    count = models.PositiveIntegerField()

    objects: ClassVar[CompanyQuerySet["DayCount"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["day", "rule", "state", "reason", "bucket"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "day", "rule", "state", "reason", "bucket"],
                name="one_count_of_a_kind_and_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.count} {self.state}"


class CountedLog(models.Model):
    """How far a company's events have been counted: see `capi.services.statistics`."""

    company = models.OneToOneField(
        "crm.Company", on_delete=models.CASCADE, related_name="counted_log"
    )
    # By the worker that is counting, or counted last.
    claimed_at = models.DateTimeField(null=True)
    counted_at = models.DateTimeField(null=True)  # the counts are as of this moment
    newest_id = models.BigIntegerField(default=0)  # at `counted_at`
    # By day, the events open when the day was counted. A day whose open events have changed is counted again.
    open_by_day = models.JSONField(default=dict)
    time_zone = models.CharField(max_length=60, blank=True)  # of the days
    # Days before this one are never counted again: some of their events are deleted, or may be at any moment.
    sealed_before = models.DateField(null=True)

    objects: ClassVar[CompanyQuerySet["CountedLog"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Counts of company {self.company_id}, as of {self.counted_at}"


# Durations as a histogram of fixed buckets: unlike percentiles, buckets can be added up over days and rules.

SHORTEST_SECONDS: Final = 0.1
GROWTH: Final = 1.2
BUCKETS: Final = 100


class _Seconds(Func):
    """The difference between two moments, in seconds."""

    template = "CAST(EXTRACT(EPOCH FROM %(expressions)s) AS double precision)"
    output_field = FloatField()


def bucket_between(first: str, last: str) -> Cast:
    """A query expression for the bucket (1 to BUCKETS) of the time from one column to another."""
    seconds = Greatest(_Seconds(F(last) - F(first)), Value(SHORTEST_SECONDS))
    steps = Floor(Ln(seconds / Value(SHORTEST_SECONDS)) / Value(math.log(GROWTH)))
    return Cast(Least(steps + 1, Value(float(BUCKETS))), BigIntegerField())


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The seconds within which this share finished, None if there are no counts. `counts` is by bucket."""
    rank = math.ceil(sum(counts.values()) * share)
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0 and counts[bucket]:
            return SHORTEST_SECONDS * math.pow(GROWTH, bucket - 0.5)
    return None
