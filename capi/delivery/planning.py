"""Turns CRM events into conversion events, in the transaction of the change that made them.

A rule with the frequency `once` counts each lead or deal once: see `deduplication`.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest, Now
from django.db.models.lookups import IsNull

from capi.delivery import deduplication, duplicates, planning_sql
from capi.delivery.planning_sql import Planning
from capi.delivery.recall import note_recall
from capi.delivery.selection import lead_of_event
from capi.models import Backfill, Connection, ConversionEvent
from capi.models.choices import OPEN_STATES, Reason, State
from capi.models.event import columns_in
from capi.models.lookups import IdList
from crm.models import CrmEvent, Lead
from crm.models.tracking.snapshots import chunks


def plan(crm_event_ids: Sequence[int]) -> dict[int, float]:
    """Create a conversion event for each of these CRM events and each active rule of its kind.

    Returns, for each company with something to send, in how many seconds it is due: 0 or less means now. Call it inside
    the transaction that made the CRM events. Planning the same event again creates nothing.
    """
    due: dict[int, float] = {}
    for ids in chunks(crm_event_ids):
        statements, chosen = planning_sql.planning(ids)
        due |= _run(statements, [chosen], ids)
    return due


def plan_past(crm_event_ids: Sequence[int], *, backfill: Backfill) -> None:
    """Create one conversion event of the backfill's rule for each of these past CRM events (CHUNK at most).

    As with `plan`, a CRM event that has one already gets no second one.
    """
    statements = planning_sql.planning_backfill(about_deal=backfill.rule.is_about_deal)
    _run(
        statements, [backfill.pk, list(crm_event_ids), backfill.rule_id], crm_event_ids
    )


def _run(
    statements: Planning, parameters: Sequence[Any], crm_event_ids: Sequence[int]
) -> dict[int, float]:
    with connection.cursor() as cursor:
        rows = _plan_at_once(cursor, statements, parameters)
    if any(wait is None for _, wait in rows):
        left = duplicates.take_over(crm_event_ids)
        if left:
            ConversionEvent.objects.filter(pk__one_of=left).update(needs_recheck=True)
            # If it is lost, the sweep finds the marked rows.
            transaction.on_commit(lambda: recheck(left), robust=True)
    return {company: wait for company, wait in rows if wait is not None}


def recheck_all(events: QuerySet[ConversionEvent]) -> None:
    """Recheck those of these events whose process has not done so: it died after its commit, or failed.

    One company after the other, so that none waits for another's locks.
    """
    marked: defaultdict[int, list[int]] = defaultdict(list)
    for company_id, pk in (
        events.filter(needs_recheck=True)
        .order_by("company", "pk")
        .values_list("company", "pk")
    ):
        marked[company_id].append(pk)
    for pks in marked.values():
        for part in chunks(pks):
            recheck(part)


@transaction.atomic
def recheck(pks: Sequence[int]) -> None:
    """Let these skipped events take keys that were released between their planning and their commit.

    The transaction that ended the other event could not see them. This one locks the connections, as writing a
    request's result does, and the events. It waits for nobody: a save waits for it, and with another save it could
    deadlock. What others have locked, perhaps to end it, stays marked for the sweep.
    """
    skipped = ConversionEvent.objects.filter(pk__one_of=pks)
    lanes = Connection.objects.filter(company__in=skipped.values("company")).order_by(
        "pk"
    )
    if (
        len(lanes.select_for_update(no_key=True, skip_locked=True).values_list("pk"))
        < lanes.count()
    ):
        return
    skipped = ConversionEvent.objects.filter(pk__one_of=_with_holders_locked(skipped))
    cancelled = deduplication.about_the_same().filter(
        reason=Reason.CANCELLED_BY_HAND, settled_at__gte=OuterRef("created_at")
    )
    left = dict(skipped.filter(~Exists(cancelled)).values_list("pk", "crm_event"))
    skipped.update(needs_recheck=False)
    duplicates.take_over(list(left.values()))
    duplicates.pass_on(IdList(left))


def _with_holders_locked(skipped: QuerySet[ConversionEvent]) -> list[int]:
    """Lock these events and the holders of their keys. Returns these, but for what others have locked."""
    ours = skipped.select_for_update(no_key=True, skip_locked=True)
    locked = list(ours.values_list("pk", "rule", deduplication.NEEDED_KEY))
    holders = deduplication.holders_of({(rule, key) for _, rule, key in locked})
    locked_holders = list(
        holders.select_for_update(no_key=True, skip_locked=True).values_list(
            "pk", flat=True
        )
    )
    others = set(
        holders.exclude(pk__one_of=locked_holders).values_list("rule", "once_key")
    )
    return [pk for pk, rule, key in locked if (rule, key) not in others]


def contact_changed(*, lead_ids: Sequence[int]) -> set[int]:
    """Update the leads' open events after a changed address or opt-out. Returns the companies with something due.

    Waiting events become pending if there is now an address. Open events are skipped if the lead opted out.
    """
    due: set[int] = set()
    note_recall(
        {company_id for ids in chunks(lead_ids) for company_id in _companies(ids)}
    )
    for ids in chunks(lead_ids):
        events = ConversionEvent.objects.filter(lead__in=ids, is_test=False)
        skip(events)
        due |= release_waiting(events)
    return due


def release_waiting(events: QuerySet[ConversionEvent]) -> set[int]:
    """Make waiting events pending if their lead has an address now. Returns their companies."""
    with_address = ~Q(email="") & Q(share_with_ad_platforms=True)
    ready = of_leads(with_address, events.filter(state=State.WAITING))
    companies = set(ready.order_by().values_list("company", flat=True).distinct())
    if companies:
        # Not before the end of the grace period, which a waiting event has had in `next_attempt_at` since its planning.
        due_at = Greatest(Coalesce("next_attempt_at", Now()), Now())
        ready.update(state=State.PENDING, reason=Reason.NONE, next_attempt_at=due_at)
    return companies


def wait_for_address(events: QuerySet[ConversionEvent]) -> None:
    """Make the pending events among these wait for an address.

    The caller leaves out events that are on the wire or whose lead has an address. As for `end`, `events` must not be
    joined to another table.
    """
    pending = events.filter(state=State.PENDING).exclude(reason=Reason.TAKEN_BACK)
    pending.update(state=State.WAITING, reason=Reason.NO_EMAIL)


def skip(events: QuerySet[ConversionEvent]) -> int:
    """Skip the open events among these whose lead opted out. Returns how many there were."""
    return end(
        of_leads(Q(share_with_ad_platforms=False), events),
        State.SKIPPED,
        Reason.OPTED_OUT,
    )


def tidy_after_recall(pks: IdList) -> None:
    """Tidy up the events of a request during which something was recalled: their keys, and changes taken back."""
    duplicates.reclaim(pks)
    events = ConversionEvent.objects.filter(pk__one_of=pks)
    duplicates.release_given_up(events.filter(_is_taken_back()))
    end_taken_back(events)
    duplicates.pass_on(pks)


def end_taken_back(events: QuerySet[ConversionEvent]) -> int:
    """End the open events among these whose change was taken back. Returns how many there were."""
    return end_and_pass_on(
        events.filter(_is_taken_back()), State.CANCELLED, Reason.TAKEN_BACK
    )


def end_and_pass_on(
    events: QuerySet[ConversionEvent], state: State, reason: Reason
) -> int:
    """As `end`. The keys that this releases pass to duplicates of these, in the same transaction."""
    pks = list(events.filter(state__in=OPEN_STATES).values_list("pk", flat=True))
    for part in chunks(pks):
        with transaction.atomic(savepoint=False):
            end(ConversionEvent.objects.filter(pk__one_of=part), state, reason)
            duplicates.pass_on(IdList(part))
    return len(pks)


def end(events: QuerySet[ConversionEvent], state: State, reason: Reason) -> int:
    """End the open events among these without a request. Returns how many there were.

    `events` must not be joined to another table. If a worker writes a result at the same time, PostgreSQL checks the
    row again, but not the rows that it was joined to: the result would be overwritten.
    """
    return events.filter(state__in=OPEN_STATES).update(
        state=state, reason=reason, **columns_in(state)
    )


def _is_taken_back() -> Exists:
    return Exists(
        CrmEvent._base_manager.filter(
            pk=OuterRef("crm_event_id"), taken_back_at__isnull=False
        )
    )


def of_leads(
    condition: Q, events: QuerySet[ConversionEvent]
) -> QuerySet[ConversionEvent]:
    """The events whose lead meets the condition, without a join: see `end`."""
    return events.filter(
        IsNull(Subquery(lead_of_event().filter(condition).values("pk")[:1]), False)
    )


def _companies(lead_ids: Sequence[int]) -> set[int]:
    # By the leads and not by their events: another transaction may be planning one at this moment.
    leads = Lead._base_manager.filter(pk__in=lead_ids).order_by()
    return set(leads.values_list("company", flat=True).distinct())


# Each company with the seconds until one of its events is due, or with None if an event was skipped as a duplicate.
Planned = list[tuple[int, float | None]]


def _plan_at_once(
    cursor: Any, planning: Planning, parameters: Sequence[Any]
) -> Planned:
    """Everything in one statement, unless the one CRM event was counted already."""
    cursor.execute(planning.at_once, parameters)
    rows = cursor.fetchall()
    if not planning.insert_counted:
        return rows  # type: ignore[no-any-return]
    planned: Planned = [
        (company, wait) for company, wait, _ in rows if wait is not None
    ]
    if not_made := [pair for _, _, pair in rows if pair is not None]:
        cursor.execute(planning.insert_counted, [f"[{','.join(not_made)}]"])
        planned += cursor.fetchall()
    return planned
