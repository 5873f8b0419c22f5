"""Turning CRM events into conversion events, inside the transaction of the change that made them.

It runs with every save of a lead or a deal, so it is one statement, and no row travels through Python.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import islice
from typing import Any, TypeVar

from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from capi.models import Connection, ConversionEvent
from capi.pipeline.recall import call_back
from capi.reasons import OPEN_STATES, Reason, State

CHUNK = 5_000
T = TypeVar("T")


def plan(crm_event_ids: Sequence[int], *, using: str = "default") -> set[int]:
    """Make one conversion event for each of these CRM events and each active rule of its kind.

    Returns the companies that have something to send now. Call it inside the transaction that made the CRM events;
    planning the same event twice makes nothing the second time.
    """
    is_postgresql = connections[using].vendor == "postgresql"
    run = _plan_at_once if is_postgresql else _plan_in_steps
    due: set[int] = set()
    with connections[using].cursor() as cursor:
        for ids in chunks(crm_event_ids):
            due |= {company_id for (company_id,) in run(cursor, ids)}
    return due


def contact_changed(*, lead_ids: Sequence[int], using: str = "default") -> set[int]:
    """Let the leads' open events follow a changed address or opt-out. Returns the companies that have something due.

    Waiting events become pending where there is now an address; open ones are skipped where the lead opted out.
    """
    due: set[int] = set()
    opted_out = {company_id for ids in chunks(lead_ids) for company_id in _companies_of_opted_out(ids, using)}
    if opted_out:
        # After the commit, so that no lead's row is ever waited for while a connection is locked.
        transaction.on_commit(partial(call_back, opted_out), using=using, robust=True)
    for ids in chunks(lead_ids):
        events = ConversionEvent.objects.using(using).filter(lead__in=ids, is_test=False)
        skip(events.filter(lead__share_with_ad_platforms=False))
        due |= awaken(events)
    return due


def awaken(events: QuerySet[ConversionEvent]) -> set[int]:
    """Make those waiting events pending whose lead has an address by now. Returns their companies."""
    ready = events.filter(state=State.WAITING, lead__share_with_ad_platforms=True).exclude(lead__email="")
    companies = set(ready.values_list("company", flat=True).distinct())
    if companies:
        ready.update(state=State.PENDING, reason=Reason.NONE, next_attempt_at=Now())
    return companies


def skip(events: QuerySet[ConversionEvent]) -> int:
    """End the open ones of these events, because their lead opted out."""
    return end(events, State.SKIPPED, Reason.OPTED_OUT)


def end(events: QuerySet[ConversionEvent], state: State, reason: Reason) -> int:
    """Give the open ones of these events an ending without a request. Returns how many there were."""
    open_events = events.filter(state__in=OPEN_STATES)
    return open_events.update(state=state, reason=reason, next_attempt_at=None, once_key=None, settled_at=Now())


def _companies_of_opted_out(lead_ids: Sequence[int], using: str) -> set[int]:
    # Asked of the leads and not of their events: one may be planned at this moment in another transaction.
    opted_out = Connection.objects.using(using).filter(
        company__leads__in=lead_ids, company__leads__share_with_ad_platforms=False
    )
    return set(opted_out.values_list("company", flat=True))


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in lists short enough for one statement."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


# Every CRM event with every active rule of its kind, as the columns of a conversion event.
PAIRS = """
SELECT e.company_id, r.id AS rule_id, e.id AS crm_event_id, e.lead_id, e.deal_id, e.occurred_at AS happened_at,
       'lm-' || replace(CAST(e.public_id AS text), '-', '') || '-' || r.id AS event_id,
       CASE WHEN l.share_with_ad_platforms AND r.frequency = 'once' THEN COALESCE(e.deal_id, e.lead_id) END AS once_key,
       CASE WHEN NOT l.share_with_ad_platforms THEN 'skipped' WHEN l.email = '' THEN 'waiting' ELSE 'pending' END
         AS state,
       CASE WHEN NOT l.share_with_ad_platforms THEN 'opted_out' WHEN l.email = '' THEN 'no_email' ELSE '' END
         AS reason,
       CASE WHEN l.share_with_ad_platforms THEN {now} END AS next_attempt_at,
       CASE WHEN NOT l.share_with_ad_platforms THEN {now} END AS settled_at
FROM {crm_event} e
JOIN {rule} r ON r.company_id = e.company_id AND r.crm_event = e.kind AND r.is_active
JOIN {lead} l ON l.id = e.lead_id
WHERE e.id {one_of}
"""
INSERT = """
INSERT INTO {event} (company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, once_key, state,
                     reason, next_attempt_at, settled_at, attempts, message, is_test, created_at)
SELECT company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, once_key, state, reason,
       next_attempt_at, settled_at, 0, '', false, {now}
FROM {pairs} AS pairs WHERE true ORDER BY crm_event_id ON CONFLICT DO NOTHING
"""
# What could not be inserted because a rule that counts each lead or deal once has counted it: said, not dropped.
INSERT_COUNTED = """
INSERT INTO {event} (company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, once_key, state,
                     reason, next_attempt_at, settled_at, attempts, message, is_test, created_at)
SELECT company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, NULL, 'skipped', 'already_counted',
       NULL, {now}, 0, '', false, {now}
FROM {pairs} AS pairs
WHERE NOT EXISTS (SELECT 1 FROM {made} AS made
                  WHERE made.crm_event_id = pairs.crm_event_id AND made.rule_id = pairs.rule_id)
ON CONFLICT DO NOTHING
"""
AT_ONCE = """
WITH pairs AS ({pairs}),
     made AS ({insert} RETURNING company_id, crm_event_id, rule_id, state),
     counted AS ({insert_counted})
SELECT DISTINCT company_id FROM made WHERE state = 'pending'
"""
DUE = "SELECT DISTINCT company_id FROM {event} WHERE state = 'pending' AND crm_event_id {one_of}"


def _plan_at_once(cursor: Any, ids: list[int]) -> list[tuple[int]]:
    """On PostgreSQL: all in one statement."""
    cursor.execute(_statements(now="statement_timestamp()", one_of="= ANY(%s::bigint[])")["at_once"], [ids])
    return cursor.fetchall()  # type: ignore[no-any-return]


def _plan_in_steps(cursor: Any, ids: list[int]) -> list[tuple[int]]:
    """On SQLite, which can't insert inside a WITH."""
    now = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"
    statements = _statements(now=now, one_of="IN (SELECT value FROM json_each(%s))")
    cursor.execute(statements["insert"], [str(ids)])
    made = cursor.rowcount
    cursor.execute(statements["insert_counted"], [str(ids)])
    if not made:
        return []
    cursor.execute(statements["due"], [str(ids)])
    return cursor.fetchall()  # type: ignore[no-any-return]


@cache
def _statements(*, now: str, one_of: str) -> dict[str, str]:
    event = ConversionEvent._meta
    tables = {name: event.get_field(name).related_model._meta.db_table for name in ("crm_event", "lead", "rule")}  # type: ignore[union-attr]
    names = {"event": event.db_table, "now": now, "one_of": one_of, **tables}
    pairs = PAIRS.format(**names)
    return {
        "insert": INSERT.format(pairs=f"({pairs})", **names),
        "insert_counted": INSERT_COUNTED.format(pairs=f"({pairs})", made=event.db_table, **names),
        "due": DUE.format(**names),
        "at_once": AT_ONCE.format(
            pairs=pairs,
            insert=INSERT.format(pairs="pairs", **names),
            insert_counted=INSERT_COUNTED.format(pairs="pairs", made="made", **names),
        ),
    }
