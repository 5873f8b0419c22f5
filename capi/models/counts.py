"""The log by the day: kept when the log's own rows are long gone."""

from typing import ClassVar

from django.db import models

from capi.models.rule import ConversionRule
from capi.models.scoping import CompanyQuerySet


class DayCount(models.Model):
    """How many of a rule's events, recorded on one day in the company's time zone, are in this state for this reason.

    `bucket` says how long it took until LinkedIn accepted them (`capi.latency`); 0 stands for all that it did not.
    No test event is among them.
    """

    company = models.ForeignKey("crm.Company", on_delete=models.CASCADE, related_name="day_counts", db_index=False)
    rule = models.ForeignKey(ConversionRule, on_delete=models.RESTRICT, related_name="day_counts", db_index=False)
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
                fields=["company", "day", "rule", "state", "reason", "bucket"], name="one_count_of_a_kind_and_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.count} {self.state}"


class CountedLog(models.Model):
    """How far a company's log has been counted: see `capi.pipeline.counting`."""

    company = models.OneToOneField("crm.Company", on_delete=models.CASCADE, related_name="counted_log")
    claimed_at = models.DateTimeField(null=True)  # by the worker that counts now, or counted last
    counted_at = models.DateTimeField(null=True)  # whatever was so at this moment is in the counts
    newest_id = models.BigIntegerField(default=0)  # of the log at `counted_at`
    # By day: what was open when the day was counted. A day that has other events open now is counted again.
    open_by_day = models.JSONField(default=dict)
    time_zone = models.CharField(max_length=60, blank=True)  # that the days are of
    # Days before it are counted for good: the log has lost rows of theirs, or may lose some at any moment.
    sealed_before = models.DateField(null=True)

    objects: ClassVar[CompanyQuerySet["CountedLog"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"Counts of company {self.company_id}, as of {self.counted_at}"
