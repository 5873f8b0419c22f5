"""What happened before: the next chunk of past CRM events, when nothing of the present is due.

A chunk is planned by whoever holds the lane, once the lane has nothing due, and is at most a batch: so what happens
meanwhile waits for one batch and no more. Chunk, cursor and counts are one transaction: a worker that dies has done
all of a chunk or nothing.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from capi.delivery import lane, planning, planning_sql
from capi.delivery.lane import Lease
from capi.linkedin import failpoints
from capi.models import Backfill, ConversionEvent, ConversionRule
from capi.models.choices import BackfillState
from postgresql.bounds import LONG_SECONDS, statements_may_take

CRM_EVENT: Any = ConversionEvent._meta.get_field("crm_event").related_model


@statements_may_take(LONG_SECONDS)
def preview(rule: ConversionRule, *, since: datetime, until: datetime) -> Counter[str]:
    """What a backfill of the rule over [since, until) would make of each CRM event: how many, by Outcome."""
    moments = [connection.ops.adapt_datetimefield_value(moment) for moment in (since, until)]
    period = [rule.company_id, rule.crm_event, *moments]
    return _counts(planning_sql.foreseeing_period(about_deal=rule.is_about_deal), [*period, rule.pk, *period])


def plan_next_chunk(lease: Lease) -> bool:
    """Plan the next chunk of the company's oldest backfill that may go on. False where there is none.

    Raises LeaseLost.
    """
    ready = Backfill.objects.for_company(lease.company_id).ready()
    return ready.exists() and _plan_chunk(lease, ready)


@transaction.atomic
def _plan_chunk(lease: Lease, ready: QuerySet[Backfill]) -> bool:
    lane.renew(lease)  # from here to the commit nobody is called back, and no company is closed
    backfill = ready.select_related("rule").select_for_update(of=("self",)).order_by("pk").first()
    if backfill is None:
        return False
    room = settings.BATCH_SIZE - ConversionEvent.objects.pending().counted().filter(rule=backfill.rule).count()
    room = min(room, planning.CHUNK)
    ids = list(_still_to_come(backfill).values_list("pk", flat=True)[:room])
    ended: dict[str, Any] = {} if len(ids) == room else {"state": BackfillState.DONE, "finished_at": Now()}
    if ids:
        ended |= {"reached_id": ids[-1], "done": Counter(backfill.done) + _foresee_ids(backfill.rule, ids)}
        planning.plan_past(ids, backfill=backfill)
        failpoints.reached(failpoints.BACKFILL_POINT)
    Backfill.objects.filter(pk=backfill.pk).update(**ended)
    return True


def _still_to_come(backfill: Backfill) -> QuerySet[Any]:
    """The CRM events that the backfill has not gone through, oldest first."""
    rule = backfill.rule
    events: QuerySet[Any] = CRM_EVENT._base_manager.filter(company=backfill.company_id, kind=rule.crm_event)
    events = events.filter(occurred_at__gte=backfill.since, occurred_at__lt=backfill.until)
    if backfill.reached_id is not None:
        # Compared inside the database, with the moment as it stands there.
        reached = CRM_EVENT._base_manager.filter(pk=backfill.reached_id).values("occurred_at")
        behind = Q(occurred_at__gt=reached) | Q(pk__gt=backfill.reached_id)
        events = events.filter(behind, occurred_at__gte=reached)
    return events.order_by("occurred_at", "pk")


def _foresee_ids(rule: ConversionRule, ids: Sequence[int]) -> Counter[str]:
    chosen = planning_sql.one_of(ids)
    return _counts(planning_sql.foreseeing_ids(about_deal=rule.is_about_deal), [chosen, rule.pk, chosen])


def _counts(statement: str, parameters: Sequence[Any]) -> Counter[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return Counter(dict(cursor.fetchall()))
