"""Plans past CRM events chunk by chunk, while nothing new is due.

The worker that leases the lane plans a chunk once nothing is due. A chunk is at most one batch, so a new event waits
for no more than one. Chunk, cursor and counts are written in one transaction: a worker that dies leaves the whole chunk
or nothing.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet

from capi.delivery import lane, planning, planning_sql
from capi.delivery.lane import Lease, LeaseLost
from capi.delivery.persons import people_to_count
from capi.linkedin import failpoints
from capi.models import Backfill, ConversionEvent, ConversionRule
from capi.models.choices import BackfillOutcome
from crm.jobs.runner import JobRunner
from crm.models import CrmEvent
from crm.models.tracking.snapshots import CHUNK
from postgresql.bounds import LONG_SECONDS, statements_may_take


@statements_may_take(LONG_SECONDS)
def preview(rule: ConversionRule, *, since: datetime, until: datetime) -> Counter[str]:
    """How many CRM events a backfill of the rule over [since, until) would find, by `BackfillOutcome`."""
    moments = [
        connection.ops.adapt_datetimefield_value(moment) for moment in (since, until)
    ]
    period = [rule.company_id, rule.crm_event, *moments]
    return _counts(
        rule,
        planning_sql.preview_of_period(about_deal=rule.is_about_deal),
        [*period, rule.pk, *period],
    )


def plan_next_chunk(lease: Lease) -> bool:
    """Plan the next chunk of the company's oldest backfill that is ready for one. Returns False if there is none.

    Raises LeaseLost.
    """
    ready = Backfill.objects.for_company(lease.company_id).ready()
    oldest = ready.order_by("pk").values_list("pk", flat=True).first()
    return oldest is not None and BackfillRunner(lease).advance(oldest)


class BackfillRunner(JobRunner[Backfill]):
    """Plans chunks for a worker that leases the lane. A timer, which leases none, plans none."""

    model = Backfill
    noun = "Backfill"
    cancel_url = "backfill_cancel"
    asks_before_cancel = True
    related = ("made_by", "rule")
    passing = (LeaseLost,)
    seconds = 0.0  # no longer than any statement of a lane

    def __init__(self, lease: Lease | None = None) -> None:
        self._lease = lease

    def waiting(self) -> QuerySet[Backfill]:
        return Backfill.objects.none()

    def usual_chunk(self, job: Backfill) -> int:
        return CHUNK

    def lock(self, pk: int) -> Backfill | None:
        assert self._lease is not None
        # Locks the row until the commit: until then, no one is recalled, no company is
        # closed.
        lane.renew(self._lease)
        return (
            Backfill.objects.filter(pk=pk)
            .ready()
            .select_related("rule")
            .select_for_update(of=("self",))
            .first()
        )

    def work(self, job: Backfill) -> None:
        pending = (
            ConversionEvent.objects.pending().counted().filter(rule=job.rule).count()
        )
        room = min(settings.BATCH_SIZE - pending, self.size(job))
        ids = list(_not_reached(job).values_list("pk", flat=True)[:room])
        if ids:
            job.reached_id = ids[-1]
            job.done = Counter(job.done) + _preview_ids(job.rule, ids)
            job.reached = sum(job.done.values())
            planning.plan_past(ids, backfill=job)
            failpoints.reached(failpoints.BACKFILL_POINT)
        if len(ids) < room:
            job.finish()


def _not_reached(backfill: Backfill) -> QuerySet[CrmEvent]:
    """The CRM events that the backfill has not reached, oldest first."""
    rule = backfill.rule
    events = CrmEvent._base_manager.filter(
        company=backfill.company_id, kind=rule.crm_event
    )
    events = events.filter(
        occurred_at__gte=backfill.since, occurred_at__lt=backfill.until
    )
    if backfill.reached_id is not None:
        # Compared inside the database, with the time as it is stored.
        reached = CrmEvent._base_manager.filter(pk=backfill.reached_id).values(
            "occurred_at"
        )
        behind = Q(occurred_at__gt=reached) | Q(pk__gt=backfill.reached_id)
        events = events.filter(behind, occurred_at__gte=reached)
    return events.order_by("occurred_at", "pk")


def _preview_ids(rule: ConversionRule, ids: Sequence[int]) -> Counter[str]:
    return _counts(
        rule,
        planning_sql.preview_of_ids(about_deal=rule.is_about_deal),
        [[*ids], rule.pk, [*ids]],
    )


def _counts(
    rule: ConversionRule, statement: str, parameters: Sequence[Any]
) -> Counter[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
    counts: Counter[str] = Counter()
    for outcome, _, count in rows:
        counts[outcome] += count
    if addresses := [address for _, address, _ in rows if address is not None]:
        would_go = counts[BackfillOutcome.GOES]
        counts[BackfillOutcome.GOES] = len(people_to_count(rule, addresses))
        counts[BackfillOutcome.ALREADY_COUNTED] += (
            would_go - counts[BackfillOutcome.GOES]
        )
    return +counts
